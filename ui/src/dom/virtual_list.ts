import { h } from "./elements";

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
  /** Makes an empty row, which is used again for others. */
  create: () => HTMLElement;
  /** Shows entry `index` in a row. */
  update: (row: HTMLElement, index: number) => void;
  onActive?: (index: number, event?: Event) => void;
}

/** Rows of one height, of which only those in sight are in the page; they are used again as one scrolls. */
export class VirtualList {
  count = 0;
  /** The row that the keyboard is on; -1 for none. */
  active = -1;
  readonly element: HTMLDivElement;
  private readonly rows = h("div", { class: "rl-rows" });
  private readonly space = h("div", { class: "rl-space" }, this.rows);
  private readonly pool: HTMLElement[] = [];
  private readonly resize = new ResizeObserver(() => this.draw());
  private readonly id = `rl-${crypto.getRandomValues(new Uint32Array(1))[0]}`;

  constructor(private readonly options: VirtualListOptions) {
    const { role = "listbox", label } = options;
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
    const { scrollTop, clientHeight } = this.element;
    const view = { top: scrollTop, height: clientHeight, row: this.options.height, count: this.count, spare: 5 };
    const { first, last } = rowsInSight(view);
    this.rows.style.transform = `translateY(${first * this.options.height}px)`;
    while (this.pool.length < last - first) this.pool.push(this.newRow());
    for (const [at, row] of this.pool.entries()) {
      row.hidden = at >= last - first;
      if (!row.hidden) this.show(row, first + at);
    }
    const shown = this.active >= first && this.active < last;
    if (shown) this.element.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
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
    const bottom = top + this.options.height - this.element.clientHeight;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    if (bottom > this.element.scrollTop) this.element.scrollTop = bottom;
    this.options.onActive?.(this.active, event);
    this.draw();
  }

  close(): void {
    this.resize.disconnect();
  }

  private newRow(): HTMLElement {
    const row = this.options.create();
    row.classList.add("rl-row");
    row.setAttribute("role", "option");
    this.rows.append(row);
    return row;
  }

  private show(row: HTMLElement, index: number): void {
    row.id = `${this.id}-${index}`;
    row.setAttribute("aria-posinset", String(index + 1));
    row.setAttribute("aria-setsize", String(this.count));
    row.setAttribute("aria-selected", String(index === this.active));
    this.options.update(row, index);
  }

  private key(event: KeyboardEvent): void {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.options.height) - 1);
    const to = target(event.key, { at: this.active, page, count: this.count });
    if (to === null) return;
    event.preventDefault();
    this.select(to, event);
  }
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
