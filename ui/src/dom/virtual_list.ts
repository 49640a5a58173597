import { h, setAttribute } from "./elements";
import { PressGuard } from "./press";

/**
 * Decides which rows are in the page: those in sight, and `spare` more on each side. Lengths are in pixels. However far
 * one has scrolled, they are the same number, but at the ends. A list that became shorter than it is scrolled is at its
 * end: the browser sees to that, and tells it later.
 */
export function rowsInSight(view: { top: number; height: number; row: number; count: number; spare: number }): {
  first: number;
  last: number;
} {
  const top = Math.max(0, Math.min(view.top, view.count * view.row - view.height));
  const first = Math.floor(top / view.row) - view.spare;
  const last = first + Math.ceil(view.height / view.row) + 1 + 2 * view.spare;
  return { first: Math.max(0, first), last: Math.min(last, view.count) };
}

export interface VirtualListOptions {
  /** The height of a row in pixels. */
  height: number;
  label: string;
  role?: "listbox" | "grid";
  /** What stands above the rows, and stays in sight. */
  head?: HTMLElement;
  /** The height of the head in pixels. */
  headHeight?: number;
  /** The name of an entry, whose row keeps its element for as long as it is in sight; its place where it has none. */
  key?: (index: number) => string;
  /** Makes an empty row, which is used again for others. */
  create: () => HTMLElement;
  /** Shows entry `index` in a row. */
  update: (row: HTMLElement, index: number) => void;
  onActive?: (index: number, event?: Event) => void;
}

const SPARE = 5;
const REST = 150; // milliseconds after which one has done with scrolling

/**
 * Rows of one height, of which only those in sight are in the page; they are used again as one scrolls. Entries above
 * may come and go while somebody presses: what is pressed on one entry never ends on another.
 *
 * Scrolling costs what comes into sight: rows that stay are not touched, and none is moved in the document, which the
 * browser would lay out anew. They stand in its order, by which they are read aloud, once the list is at rest.
 */
export class VirtualList {
  count = 0;
  /** The row that the keyboard is on; -1 for none. */
  active = -1;
  readonly element: HTMLDivElement;
  private readonly rows = h("div", { class: "rl-rows" });
  /** The rows in sight by the names of their entries, from the first to the last. */
  private shown = new Map<string, HTMLElement>();
  private spare: HTMLElement[] = [];
  private top = 0;
  private room = 0; // the height that the rows have, in pixels
  private readonly resize = new ResizeObserver(() => this.measure());
  private readonly press: PressGuard;
  private rest: ReturnType<typeof setTimeout> | undefined;
  private readonly id = `rl-${crypto.getRandomValues(new Uint32Array(1))[0]}`;

  constructor(private readonly options: VirtualListOptions) {
    const { role = "listbox", label, head } = options;
    this.rows.setAttribute("role", role === "grid" ? "rowgroup" : "presentation");
    this.element = h(
      "div",
      {
        class: "rl-list",
        tabindex: "0",
        role,
        "aria-label": label,
        onscroll: () => this.scrolled(),
        onkeydown: (event: KeyboardEvent) => this.key(event),
      },
      head,
      this.rows,
    );
    this.press = new PressGuard(this.element);
    this.resize.observe(this.element);
  }

  setCount(count: number): void {
    this.count = count;
    this.active = Math.min(this.active, count - 1);
    this.rows.style.height = `${count * this.options.height}px`;
    this.draw();
  }

  /** Show all rows in sight as they are now. */
  draw(): void {
    const { first } = this.place();
    [...this.shown.values()].forEach((row, at) => this.show(row, first + at));
    this.nameActive();
    this.sort();
  }

  /** Throw all rows away, since those to come are of another shape; the next `setCount` makes them. */
  reset(): void {
    this.shown.clear();
    this.spare = [];
    this.rows.replaceChildren();
  }

  /** The element of an entry that is in sight. */
  elementOf(index: number): HTMLElement | undefined {
    return this.shown.get(this.keyOf(index));
  }

  get atEnd(): boolean {
    const { scrollTop, clientHeight } = this.element;
    return scrollTop + clientHeight >= (this.count - 1) * this.options.height;
  }

  /** Scroll so far, in pixels. What comes into sight is shown by the next `draw` or `setCount`. */
  scrollTo(top: number): void {
    if (top === this.top) return; // the browser would lay all out to find that nothing is to be done
    this.element.scrollTop = top;
    this.top = this.element.scrollTop;
  }

  toEnd(): void {
    this.scrollTo(this.count * this.options.height);
    this.draw();
  }

  /** Put the keyboard on a row, and bring it into sight. */
  select(index: number, event?: Event): void {
    if (!this.count) return;
    this.active = Math.max(0, Math.min(this.count - 1, index));
    const top = this.active * this.options.height;
    const bottom = top + this.options.height - this.room;
    if (top < this.top) this.scrollTo(top);
    if (bottom > this.top) this.scrollTo(bottom);
    this.options.onActive?.(this.active, event);
    this.draw();
  }

  close(): void {
    clearTimeout(this.rest);
    this.press.close();
    this.resize.disconnect();
  }

  private keyOf(index: number): string {
    return this.options.key?.(index) ?? String(index);
  }

  private measure(): void {
    this.room = this.element.clientHeight - (this.options.headHeight ?? 0);
    this.draw();
  }

  private scrolled(): void {
    this.top = this.element.scrollTop;
    for (const [row, index] of this.place().fresh) this.show(row, index);
    this.nameActive();
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.press.apply(() => this.sort()), REST);
  }

  private get range(): { first: number; last: number } {
    const { top, room, count } = this;
    return rowsInSight({ top, height: room, row: this.options.height, count, spare: SPARE });
  }

  /** Give each entry in sight a row: that which it has, or one whose entry has gone out of sight. */
  private place(): { first: number; fresh: [HTMLElement, number][] } {
    const { first, last } = this.range;
    const keys = Array.from({ length: last - first }, (_, at) => this.keyOf(first + at));
    const before = this.shown;
    this.shown = new Map();
    const wanted = new Set(keys);
    for (const [key, row] of before) if (!wanted.has(key)) this.spare.push(row);
    const fresh: [HTMLElement, number][] = [];
    keys.forEach((key, at) => {
      const row = before.get(key) ?? this.spare.shift() ?? this.newRow();
      if (!before.has(key)) fresh.push([row, first + at]);
      this.shown.set(key, row);
    });
    for (const row of this.spare) {
      row.hidden = true;
      row.removeAttribute("id"); // another one may be called so now
    }
    return { first, fresh };
  }

  /** A row that is in its place is not moved, which would lose a click. */
  private sort(): void {
    let below: HTMLElement | null = null;
    for (const row of [...this.shown.values()].reverse()) {
      if (below && !precedes(row, below)) this.rows.insertBefore(row, below);
      below = row;
    }
  }

  private newRow(): HTMLElement {
    const row = this.options.create();
    row.classList.add("rl-row");
    row.setAttribute("role", this.options.role === "grid" ? "row" : "option");
    this.rows.append(row);
    return row;
  }

  private show(row: HTMLElement, index: number): void {
    row.hidden = false;
    row.style.top = `${index * this.options.height}px`;
    if (this.options.role === "grid") {
      setAttribute(row, "aria-rowindex", index + (this.options.head ? 2 : 1));
    } else {
      setAttribute(row, "aria-posinset", index + 1);
      setAttribute(row, "aria-setsize", this.count);
    }
    this.showActive(row, index);
    this.options.update(row, index);
  }

  private showActive(row: HTMLElement, index: number): void {
    const active = index === this.active;
    setAttribute(row, "id", active ? `${this.id}-${index}` : null);
    row.classList.toggle("rl-active", active);
    if (this.options.role !== "grid") setAttribute(row, "aria-selected", String(active));
  }

  private nameActive(): void {
    const { active, range } = this;
    const shown = active >= range.first && active < range.last;
    setAttribute(this.element, "aria-activedescendant", shown ? `${this.id}-${active}` : null);
  }

  private key(event: KeyboardEvent): void {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.room / this.options.height) - 1);
    const to = target(event.key, { at: this.active, page, count: this.count });
    if (to === null) return;
    event.preventDefault();
    this.select(to, event);
  }
}

function precedes(element: Element, other: Element): boolean {
  return Boolean(element.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);
}

/** The row that a key leads to; null for a key that leads to none. */
export function target(key: string, from: { at: number; page: number; count: number }): number | null {
  const { at, page, count } = from;
  const by: Record<string, number> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: count - 1,
  };
  return by[key] ?? null;
}
