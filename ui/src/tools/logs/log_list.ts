import { h, setText } from "../../dom/elements";
import { VirtualList } from "../../dom/virtual_list";
import { badge, clock, isError, spokenLine } from "./log_line";
import type { LogStore } from "./log_store";
import type { Query } from "./query";

const ROW = 20; // pixels

/** The lines, of which those in sight are in the page, and the whole text of the chosen one. */
export class LogList {
  readonly element: HTMLElement;
  readonly whole = h("div", {
    class: "rl-log-whole",
    hidden: true,
    tabindex: "0",
    role: "region",
    "aria-label": "The chosen line",
  });
  private readonly list: VirtualList;

  constructor(
    label: string,
    private readonly store: LogStore,
    private readonly onMove: () => void,
  ) {
    this.list = new VirtualList({
      height: ROW,
      label,
      create: newRow,
      update: (row, index) => this.updateRow(row, index),
      onActive: () => this.showWhole(),
    });
    this.element = this.list.element;
    this.element.addEventListener("scroll", () => this.onMove());
    this.element.addEventListener("click", (event) => {
      const row = (event.target as Element).closest<HTMLElement>(".rl-log-row");
      if (row) this.list.select(Number(row.dataset.index));
    });
  }

  /** The row of the chosen line; -1 for none. */
  get active(): number {
    return this.list.active;
  }

  get isAtEnd(): boolean {
    return this.list.atEnd;
  }

  select(row: number): void {
    this.list.select(row);
  }

  focus(): void {
    this.element.focus();
  }

  /** Show the store's lines as they are now. Whoever has chosen one reads it; else the end is followed, if in sight. */
  update(): void {
    const follows = this.list.atEnd && this.list.active < 0;
    this.list.setCount(this.store.count);
    if (follows) this.list.toEnd();
  }

  /** The same after so many lines have gone at the top. */
  updateAfterDrop(dropped: number): void {
    const top = this.element.scrollTop - dropped * ROW;
    const follows = this.list.atEnd && this.list.active < 0;
    this.leave();
    if (!follows) this.list.scrollTo(Math.max(0, top));
    this.list.setCount(this.store.count);
    if (follows) this.list.toEnd();
  }

  /** Other lines are shown: none is chosen. */
  updateAll(): void {
    this.leave();
    this.update();
  }

  toEnd(): void {
    this.leave();
    this.list.toEnd();
  }

  close(): void {
    this.list.close();
  }

  private leave(): void {
    this.list.active = -1;
    this.whole.hidden = true;
  }

  private showWhole(): void {
    const line = this.store.row(this.list.active);
    this.whole.hidden = !line;
    if (line) this.whole.replaceChildren(...marked(line[4], this.store.query));
    this.onMove();
  }

  private updateRow(row: HTMLElement, index: number): void {
    const line = this.store.row(index);
    if (!line) return;
    const [time, source, kind, , text] = line;
    const [timeCell, sourceCell, badgeCell, textCell] = row.children as unknown as [
      Element,
      Element,
      HTMLElement,
      Element,
    ];
    row.title = new Date(time).toISOString();
    row.dataset.index = String(index);
    row.dataset.kind = kind;
    row.classList.toggle("rl-log-bad", isError(line));
    row.setAttribute("aria-label", spokenLine(line));
    setText(timeCell, clock(time));
    setText(sourceCell, source);
    setText(badgeCell, badge(line));
    badgeCell.hidden = !badge(line);
    textCell.replaceChildren(...marked(text.replaceAll("\n", " ⏎ "), this.store.query));
  }
}

function newRow(): HTMLElement {
  const cells = ["time", "source", "badge", "text"].map((name) => h("span", { class: `rl-log-${name}` }));
  return h("div", { class: "rl-log-row" }, ...cells);
}

function marked(text: string, query: Query): (HTMLElement | string)[] {
  return query.parts(text).map((part) => (part.marked ? h("mark", {}, part.text) : part.text));
}
