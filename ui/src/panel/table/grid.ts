import { setAttribute } from "../../dom/elements";
import type { Place } from "../../dom/menu";
import { VirtualList } from "../../dom/virtual_list";
import type { Row } from "../../protocol/panel";
import { type Column, idOf, type ResourceKind } from "../kinds";
import type { Store } from "../store";
import type { Arrangement } from "./arrangement";
import { boundedWidth, fittingColumns, tracks, type Widths } from "./columns";
import { GridHeader } from "./header";
import { type Command, commandFor } from "./keys";
import { GridRow, type RowContext } from "./row";
import type { Selection } from "./selection";

/** The height of a row, and of the head, in pixels. */
export const ROW = 28;

/** The width that a table is believed to have until it is in the page, in pixels. */
const USUAL_ROOM = 900;

export interface GridEvents {
  onSort(key: string): void;
  onWidths(widths: Widths): void;
  /** The keyboard has moved to another row. */
  onMove(row: Row): void;
  onOpen(row: Row): void;
  onMenu(row: Row, at: Place): void;
  onRemove(row: Row): void;
  onDismiss(row: Row): void;
  onSearch(): void;
}

/** What a table shows. */
export interface GridContent {
  kind: ResourceKind;
  arrangement: Arrangement;
  widths: Widths;
}

/** The table of one kind's resources, which is worked by mouse or keyboard. */
export class Grid {
  readonly element: HTMLElement;
  private readonly header: GridHeader;
  private readonly list: VirtualList;
  private rows = new Map<HTMLElement, GridRow>();
  private activeId: string | null = null;
  private columns: readonly Column[] = [];
  private room = 0;
  private readonly sizes = new ResizeObserver(() => this.fit());

  constructor(
    private readonly store: Store,
    private readonly selection: Selection,
    private content: GridContent,
    private readonly isOpen: (id: string) => boolean,
    private readonly events: GridEvents,
  ) {
    this.header = new GridHeader({
      onAll: (chosen) => selection.set(chosen ? this.ids : []),
      onSort: (key) => events.onSort(key),
      onResize: (column, width) => this.setWidth(column, width),
      onResized: () => events.onWidths(this.content.widths),
    });
    this.list = new VirtualList({
      height: ROW,
      label: content.kind.spec.title,
      role: "grid",
      head: this.header.element,
      headHeight: ROW,
      key: (index) => idOf(this.rowAt(index)),
      create: () => this.newRow(),
      update: (element, index) => this.rows.get(element)?.show(this.rowAt(index), index),
      onActive: (index, event) => this.moved(index, event),
    });
    this.element = this.list.element;
    this.element.classList.add("rl-grid");
    this.element.setAttribute("aria-multiselectable", "true");
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("click", (event) => this.click(event));
    this.element.addEventListener("contextmenu", (event) => this.openContextMenu(event));
    this.sizes.observe(this.element);
  }

  /** Show another kind, from the top. */
  show(content: GridContent): void {
    this.content = content;
    this.activeId = null;
    this.element.setAttribute("aria-label", content.kind.spec.title);
    this.toTop();
    this.layout();
  }

  /** Lay the columns out anew, for another width or order. */
  layout(): void {
    const { widths, arrangement } = this.content;
    this.room = this.element.clientWidth;
    this.columns = this.fitting();
    this.element.style.setProperty("--rl-tracks", tracks(this.columns, widths));
    setAttribute(this.element, "aria-colcount", this.columns.length + 2);
    this.header.show(this.columns, arrangement.sort);
    this.rows.clear();
    this.list.reset();
    this.refresh();
  }

  /** Lay it out anew where its width is another one, and more or fewer columns have room in it. */
  fit(): void {
    const room = this.element.clientWidth;
    if (!room || room === this.room) return;
    this.room = room;
    const columns = this.fitting();
    if (columns.length !== this.columns.length) this.layout();
  }

  /** The rows, or which are shown, are different. */
  refresh(): void {
    const { shown } = this.content.arrangement;
    setAttribute(this.element, "aria-rowcount", shown.length + 1);
    this.list.active = this.activeIndex;
    this.list.setCount(shown.length);
    this.markAll();
  }

  /** Marks, selection or the current devbox changed: the same rows look different. */
  redecorate(): void {
    this.list.draw();
    this.markAll();
  }

  /** Times go on. */
  tick(): void {
    for (const row of this.rows.values()) if (!row.element.hidden) row.tick();
  }

  toTop(): void {
    this.list.scrollTo(0);
  }

  focus(): void {
    this.element.focus({ preventScroll: true });
  }

  focusHeader(key: string): void {
    this.header.focus(key);
  }

  close(): void {
    this.sizes.disconnect();
    this.list.close();
  }

  /** The columns that have room. */
  private fitting(): readonly Column[] {
    const { kind, widths } = this.content;
    return fittingColumns(kind.columns, widths, this.room || USUAL_ROOM);
  }

  private get ids(): string[] {
    return this.content.arrangement.shown.map(idOf);
  }

  private get activeIndex(): number {
    const { activeId } = this;
    return activeId === null ? -1 : this.content.arrangement.shown.findIndex((row) => idOf(row) === activeId);
  }

  private rowAt(index: number): Row {
    return this.content.arrangement.shown[index] ?? [];
  }

  private newRow(): HTMLElement {
    const { store, selection, isOpen, columns } = this;
    const context: RowContext = { store, selection, isOpen, columns, kind: this.content.kind };
    const row = new GridRow(context);
    this.rows.set(row.element, row);
    return row.element;
  }

  private markAll(): void {
    const { shown } = this.content.arrangement;
    const some = shown.length > 0 && this.selection.size > 0;
    const all = some && shown.every((row) => this.selection.has(idOf(row)));
    this.header.mark(all ? "all" : some ? "some" : "none");
  }

  private setWidth(column: Column, width: number): void {
    this.content.widths = { ...this.content.widths, [column.key]: boundedWidth(width) };
    this.layout();
  }

  private moved(index: number, event?: Event): void {
    const row = this.rowAt(index);
    if ((event as KeyboardEvent | undefined)?.shiftKey) this.selection.extend(idOf(row), this.ids);
    else this.selection.begin(idOf(row));
    this.activeId = idOf(row);
    this.events.onMove(row);
  }

  private key(event: KeyboardEvent): void {
    const command = event.target === this.element ? commandFor(event) : null;
    if (!command || !this.carryOut(command)) return;
    event.preventDefault();
  }

  private carryOut(command: Command): boolean {
    if (command === "search") this.events.onSearch();
    else if (command === "select all") this.selection.set(this.ids);
    else if (this.list.active < 0) return false;
    else this.carryOutOn(command, this.rowAt(this.list.active));
    return true;
  }

  private carryOutOn(command: Command, row: Row): void {
    if (command === "toggle") this.selection.toggle(idOf(row));
    else if (command === "open") this.events.onOpen(row);
    else if (command === "remove") this.events.onRemove(row);
    else this.openMenu(row);
  }

  private openMenu(row: Row): void {
    const element = this.list.elementOf(this.list.active);
    const shown = element && this.rows.get(element);
    if (shown) this.events.onMenu(row, shown.more.getBoundingClientRect());
  }

  private rowOf(event: Event): GridRow | undefined {
    const element = (event.target as Element).closest<HTMLElement>(".rl-row");
    return element ? this.rows.get(element) : undefined;
  }

  private click(event: MouseEvent): void {
    const pressed = this.rowOf(event);
    if (!pressed) return;
    const target = event.target as Element;
    const id = idOf(pressed.row);
    if (target.closest(".rl-more")) {
      this.activate(pressed);
      this.events.onMenu(pressed.row, pressed.more.getBoundingClientRect());
    } else if (target.closest(".rl-dismiss")) this.events.onDismiss(pressed.row);
    else if (event.shiftKey) this.selection.extend(id, this.ids);
    else if (target.closest(".rl-check") || event.ctrlKey || event.metaKey) this.selection.toggle(id);
    else {
      this.focus();
      this.selection.begin(id);
      this.activate(pressed);
      this.events.onOpen(pressed.row);
    }
  }

  private openContextMenu(event: MouseEvent): void {
    const pressed = this.rowOf(event);
    if (!pressed) return;
    event.preventDefault();
    event.stopPropagation();
    this.activate(pressed);
    this.events.onMenu(pressed.row, { left: event.clientX, top: event.clientY, bottom: event.clientY });
  }

  /** Put the keyboard on a row, which is in sight. */
  private activate({ row, index }: GridRow): void {
    this.activeId = idOf(row);
    this.list.active = index;
    this.list.draw();
  }
}
