import { h, nodes, setAttribute, setText } from "../../dom/elements";
import { icon } from "../../dom/icons";
import { renew } from "../../dom/renew";
import type { Row } from "../../protocol/panel";
import { type Column, idOf, type ResourceKind } from "../kinds";
import type { Store } from "../store";
import { CellTexts } from "./cell_text";
import { nameContent, statusContent } from "./cells";
import type { Selection } from "./selection";

/** What all rows of a table share. */
export interface RowContext {
  store: Store;
  kind: ResourceKind;
  columns: readonly Column[];
  selection: Selection;
  /** True if the details of a resource are shown. */
  isOpen(id: string): boolean;
}

/** A row in the page, which shows one resource after the other. */
export class GridRow {
  row: Row = [];
  index = -1;
  readonly check = h("input", { type: "checkbox", tabindex: "-1" });
  readonly more = h(
    "button",
    { type: "button", class: "rl-more", tabindex: "-1", "aria-haspopup": "menu" },
    icon("more"),
  );
  readonly element: HTMLElement;
  private readonly texts: CellTexts;
  private readonly cells: readonly HTMLElement[];
  private readonly contents: string[] = []; // what the cells show that are more than a text

  constructor(private readonly context: RowContext) {
    this.texts = new CellTexts(context.kind, context.store);
    this.cells = context.columns.map((column) => {
      const rich = isRich(column) ? "rl-rich" : "";
      return h("div", { class: `rl-cell rl-form-${column.form} ${rich}`, role: "gridcell" });
    });
    this.element = h(
      "div",
      { onpointerover: (event: PointerEvent) => this.showTitle(event.target as Element) },
      h("div", { class: "rl-cell rl-check", role: "gridcell" }, this.check),
      this.cells,
      h("div", { class: "rl-cell rl-last", role: "gridcell" }, this.more),
    );
  }

  show(row: Row, index: number): void {
    this.row = row;
    this.index = index;
    const name = this.context.kind.label(row);
    setAttribute(this.check, "aria-label", `Select ${name}`);
    setAttribute(this.more, "aria-label", `Actions for ${name}`);
    this.decorate();
    for (const [at, column] of this.context.columns.entries()) {
      if (isRich(column)) this.fillRich(column, at);
      else this.fillText(column, at);
    }
  }

  /** Times go on. */
  tick(): void {
    for (const [at, column] of this.context.columns.entries()) {
      if (CellTexts.isTimed(column)) this.fillText(column, at);
    }
  }

  private decorate(): void {
    const { store, kind, selection, isOpen } = this.context;
    const id = idOf(this.row);
    const { classList, style } = this.element;
    const age = store.flashAge(kind.name, id);
    this.check.checked = selection.has(id);
    setAttribute(this.element, "aria-selected", String(selection.has(id)));
    classList.toggle("rl-open", isOpen(id));
    classList.toggle("rl-busy", Boolean(store.mark(kind.name, id)?.doing));
    classList.toggle("rl-ended", kind.hasEnded(this.row));
    if (age !== null && !classList.contains("rl-flash")) style.animationDelay = `${-Math.round(age)}ms`;
    classList.toggle("rl-flash", age !== null);
  }

  private fillText(column: Column, at: number): void {
    setText(this.cells[at] as HTMLElement, this.texts.text(column, this.row));
  }

  /** Titles are made for the cell that the mouse is on: to make them for all would cost more than all else. */
  private showTitle(target: Element): void {
    const at = this.cells.findIndex((cell) => cell.contains(target));
    const column = this.context.columns[at];
    if (column && !isRich(column)) (this.cells[at] as HTMLElement).title = this.texts.title(column, this.row);
  }

  private fillRich(column: Column, at: number): void {
    const { store, kind } = this.context;
    const { row } = this;
    const [id, current] = [idOf(row), store.current === idOf(row)];
    const value = kind.text(row, column.key);
    const isStatus = column.form === "status";
    const mark = isStatus || !kind.hasStatus ? store.mark(kind.name, id) : null;
    const reason = kind.text(row, "reason");
    const content = JSON.stringify(isStatus ? [value, mark, reason] : [value || id, !value, current, mark]);
    if (this.contents[at] === content) return;
    this.contents[at] = content;
    const cell = this.cells[at] as HTMLElement;
    renew(cell, nodes(isStatus ? statusContent(value, mark, reason) : nameContent(value, id, current, mark)));
    setAttribute(cell, "title", mark?.error || (isStatus ? reason : value || id) || null);
  }
}

function isRich(column: Column): boolean {
  return column.form === "status" || column.key === "name";
}
