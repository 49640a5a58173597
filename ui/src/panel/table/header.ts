import { h, text } from "../../dom/elements";
import { icon } from "../../dom/icons";
import { roving } from "../../dom/roving";
import type { Column } from "../kinds";
import type { Sort } from "./arrangement";

const STEP = 20; // pixels that a key makes a column wider

export interface HeaderEvents {
  onAll(chosen: boolean): void;
  onSort(key: string): void;
  /** A column is wider or narrower by so many pixels than it was, or than it was when dragging began. */
  onResize(column: Column, width: number): void;
  onResized(): void;
}

/** The head of a table: a box to select all, and for each column its name, by which one sorts, and a handle. */
export class GridHeader {
  readonly row = h("div", { class: "rl-header", role: "row", "aria-rowindex": "1" });
  readonly element = h("div", { class: "rl-headgroup", role: "rowgroup" }, this.row);
  private readonly all = h("input", { type: "checkbox", "aria-label": "Select all that are shown" });
  private columns: readonly Column[] = [];

  constructor(private readonly events: HeaderEvents) {
    this.all.onchange = () => events.onAll(this.all.checked);
    roving(this.row, ".rl-sort");
  }

  show(columns: readonly Column[], sort: Sort): void {
    this.columns = columns;
    const first = h("div", { class: "rl-head rl-check", role: "columnheader" }, this.all);
    const last = h("div", { class: "rl-head", role: "columnheader" }, h("span", { class: "rl-hidden" }, "Actions"));
    this.row.replaceChildren(first, ...columns.map((column, at) => this.head(column, at, sort)), last);
  }

  /** Show how many of the rows are selected. */
  mark(chosen: "none" | "some" | "all"): void {
    this.all.checked = chosen === "all";
    this.all.indeterminate = chosen === "some";
  }

  /** Put the focus on the name of a column. */
  focus(key: string): void {
    const at = this.columns.findIndex((column) => column.key === key);
    this.row.querySelectorAll<HTMLElement>(".rl-sort")[at]?.focus();
  }

  private head(column: Column, at: number, [key, direction]: Sort): HTMLElement {
    const sorted = column.key === key;
    const order = !sorted ? "none" : direction > 0 ? "ascending" : "descending";
    const properties = {
      type: "button",
      class: "rl-sort",
      tabindex: at ? "-1" : "0",
      title: `Sort by ${column.label.toLowerCase()}. Shift with left or right changes the width.`,
      onclick: () => this.events.onSort(column.key),
      onkeydown: (event: KeyboardEvent) => this.resizeByKey(event, column),
    };
    const sort = h("button", properties, text(column.label), sorted && icon(direction > 0 ? "up" : "down"));
    const onpointerdown = (event: PointerEvent) => this.resizeByPointer(event, column);
    const handle = h("div", { class: "rl-resize", "aria-hidden": "true", onpointerdown });
    return h("div", { class: "rl-head", role: "columnheader", "aria-sort": order }, sort, handle);
  }

  private resizeByPointer(event: PointerEvent, column: Column): void {
    event.preventDefault();
    const start = event.clientX;
    const before = (event.target as HTMLElement).parentElement?.offsetWidth ?? column.width;
    const move = (moved: PointerEvent) => this.events.onResize(column, before + moved.clientX - start);
    const end = () => {
      window.removeEventListener("pointermove", move);
      this.events.onResized();
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end, { once: true });
  }

  private resizeByKey(event: KeyboardEvent, column: Column): void {
    if (!event.shiftKey || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    const width = (event.target as HTMLElement).parentElement?.offsetWidth ?? column.width;
    this.events.onResize(column, width + (event.key === "ArrowRight" ? STEP : -STEP));
    this.events.onResized();
    this.focus(column.key);
  }
}
