import { h, setAttribute } from "./elements";

/** Decides which rows are in the page: those in sight, and `spare` more on each side. Lengths are in pixels. */
export function rowsInSight(view: { top: number; height: number; row: number; count: number; spare: number }): {
  first: number;
  last: number;
} {
  const first = Math.max(0, Math.floor(view.top / view.row) - view.spare);
  const last = Math.min(view.count, Math.ceil((view.top + view.height) / view.row) + view.spare);
  return { first, last: Math.max(first, last) };
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

/**
 * Rows of one height, of which only those in sight are in the page; they are used again as one scrolls. Entries above
 * may come and go while somebody presses: what is pressed on one entry never ends on another.
 */
export class VirtualList {
  count = 0;
  /** The row that the keyboard is on; -1 for none. */
  active = -1;
  readonly element: HTMLDivElement;
  private readonly rows = h("div", { class: "rl-rows" });
  private readonly space = h("div", { class: "rl-space", role: "presentation" }, this.rows);
  private shown = new Map<string, HTMLElement>();
  private spare: HTMLElement[] = [];
  private readonly resize = new ResizeObserver(() => this.draw());
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
        onscroll: () => this.draw(),
        onkeydown: (event: KeyboardEvent) => this.key(event),
      },
      head,
      this.space,
    );
    this.resize.observe(this.element);
  }

  setCount(count: number): void {
    this.count = count;
    this.active = Math.min(this.active, count - 1);
    this.space.style.height = `${count * this.options.height}px`;
    this.draw();
  }

  /** Show all rows in sight as they are now. */
  draw(): void {
    const { height } = this.options;
    const view = { top: this.element.scrollTop, height: this.room, row: height, count: this.count, spare: 5 };
    const { first, last } = rowsInSight(view);
    this.rows.style.transform = `translateY(${first * height}px)`;
    this.place(first, last);
    const shown = this.active >= first && this.active < last;
    setAttribute(this.element, "aria-activedescendant", shown ? this.nameOf(this.active) : null);
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

  toEnd(): void {
    this.element.scrollTop = this.count * this.options.height;
    this.draw();
  }

  /** Put the keyboard on a row, and bring it into sight. */
  select(index: number, event?: Event): void {
    if (!this.count) return;
    this.active = Math.max(0, Math.min(this.count - 1, index));
    const top = this.active * this.options.height;
    const bottom = top + this.options.height - this.room;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    if (bottom > this.element.scrollTop) this.element.scrollTop = bottom;
    this.options.onActive?.(this.active, event);
    this.draw();
  }

  close(): void {
    this.resize.disconnect();
  }

  /** The height that the rows have, in pixels. */
  private get room(): number {
    return this.element.clientHeight - (this.options.headHeight ?? 0);
  }

  private nameOf(index: number): string {
    return `${this.id}-${index}`;
  }

  private keyOf(index: number): string {
    return this.options.key?.(index) ?? String(index);
  }

  /** Elements are in the order of the rows. One that is in its place is not moved, which would lose a click. */
  private place(first: number, last: number): void {
    const kept = new Map<string, HTMLElement>();
    for (let index = first; index < last; index++) {
      const element = this.shown.get(this.keyOf(index));
      if (element) kept.set(this.keyOf(index), element);
    }
    for (const [key, element] of this.shown) if (!kept.has(key)) this.spare.push(element);
    this.shown = new Map();
    let below: HTMLElement | null = null;
    for (let index = last - 1; index >= first; index--) {
      const key = this.keyOf(index);
      const element: HTMLElement = kept.get(key) ?? this.spare.pop() ?? this.newRow();
      if (!kept.has(key) || !precedes(element, below)) this.rows.insertBefore(element, below);
      this.shown.set(key, element);
      this.show(element, index);
      below = element;
    }
    for (const element of this.spare) {
      element.hidden = true;
      element.removeAttribute("id"); // another one may be called so now
    }
  }

  private newRow(): HTMLElement {
    const row = this.options.create();
    row.classList.add("rl-row");
    row.setAttribute("role", this.options.role === "grid" ? "row" : "option");
    return row;
  }

  private show(row: HTMLElement, index: number): void {
    const active = index === this.active;
    row.hidden = false;
    row.id = this.nameOf(index);
    row.classList.toggle("rl-active", active);
    if (this.options.role === "grid") {
      setAttribute(row, "aria-rowindex", index + (this.options.head ? 2 : 1));
    } else {
      setAttribute(row, "aria-posinset", index + 1);
      setAttribute(row, "aria-setsize", this.count);
      setAttribute(row, "aria-selected", String(active));
    }
    this.options.update(row, index);
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

function precedes(element: Element, other: Element | null): boolean {
  return !other || Boolean(element.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);
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
