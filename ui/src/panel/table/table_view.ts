import { copyText } from "../../dom/clipboard";
import { h } from "../../dom/elements";
import { openMenu, type Place } from "../../dom/menu";
import { PressGuard } from "../../dom/press";
import { counted } from "../../format/words";
import type { Action, Row } from "../../protocol/panel";
import { allows } from "../actions";
import type { Context } from "../context";
import { idOf, type ResourceKind } from "../kinds";
import type { LayoutState } from "../layout_state";
import type { Change, Table } from "../store";
import { filtersOf } from "../toolbar/filters";
import { Toolbar } from "../toolbar/toolbar";
import { Arrangement } from "./arrangement";
import { EmptyState } from "./empty";
import { Footer } from "./footer";
import { Grid, ROW } from "./grid";
import { rowMenu } from "./row_menu";
import { Selection } from "./selection";

const PAUSE = 600; // milliseconds after a key in the search until the number of rows is said

export interface TableEvents {
  onAct(action: Action, rows: readonly Row[]): void;
  onCreate(): void;
  onOpen(row: Row): void;
  /** The keyboard has moved to another row. */
  onMove(row: Row): void;
  /** A sentence for those who do not see the table. */
  onSpeak(sentence: string): void;
  /** Rows and head need another height, in pixels; 0 if there are no rows. Never while somebody presses. */
  onHeight(height: number): void;
}

export interface TableOptions {
  context: Context;
  layout: LayoutState;
  /** The kind that is shown first. */
  kind: ResourceKind;
  /** True if the details of a resource are shown. */
  isOpen: (id: string) => boolean;
  /** How far uploads are. */
  progress: () => readonly HTMLElement[];
  events: TableEvents;
}

/** The table of one kind at a time, with what stands above and below it. */
export class TableView {
  readonly toolbar: Toolbar;
  readonly footer: Footer;
  readonly grid: Grid;
  private readonly press: PressGuard;
  readonly selection = new Selection(() => this.selected());
  readonly element: HTMLElement;
  kind: ResourceKind;
  private readonly empty: EmptyState;
  private readonly arrangements = new Map<string, Arrangement>();
  private speech: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: TableOptions) {
    const { events, context } = options;
    this.kind = options.kind;
    this.toolbar = new Toolbar({
      onSearchFocus: () => this.arrangement.prepareSearch(),
      onSearch: (search) => this.search(search),
      onFilter: (status) => this.filter(status),
      onPrune: () => context.send({ op: "prune", kind: this.kind.name }),
      onCreate: () => events.onCreate(),
    });
    this.press = new PressGuard(context.root);
    this.grid = this.newGrid();
    this.empty = new EmptyState({
      onShowAll: () => this.showAll(),
      onCreate: () => events.onCreate(),
      onInsert: (code) => context.insert(code),
    });
    const footerEvents = { onAct: events.onAct, onClear: () => this.selection.set([]) };
    this.footer = new Footer(footerEvents, this.grid.element);
    this.element = h("div", { class: "rl-main" }, this.grid.element, this.empty.element);
  }

  show(kind: ResourceKind): void {
    this.kind = kind;
    this.selection.keep(() => false);
    this.toolbar.show(kind, this.arrangement.search);
    this.arrangement.arrange(this.table.rows.values());
    const { arrangement } = this;
    this.grid.show({ kind, arrangement, widths: this.options.layout.widths(kind.name) });
    this.update();
  }

  /** Rows changed: of the kind that is shown, or of one whose names it shows. */
  take(kind: string, change: Change): void {
    if (!change.added.length && !change.removed.length) return;
    if (kind === this.kind.name) this.arrangement.apply(change);
    else if (this.kind.spec.needs.includes(kind)) this.arrangement.arrange(this.table.rows.values());
  }

  /** Show the rows as they are now. What has ended is selected no longer where only those are shown that have not. */
  refresh(): void {
    const { rows } = this.table;
    this.selection.keep((id) => {
      const row = rows.get(id);
      return row !== undefined && !(this.arrangement.status === null && this.kind.hasEnded(row));
    });
    this.grid.refresh();
    this.update();
  }

  /** Show all but the rows anew. */
  update(): void {
    const { context } = this.options;
    const { arrangement, kind, table } = this;
    const health = context.store.healthOf(kind.name);
    this.toolbar.showFilters(filtersOf(kind, table, arrangement.status, health.loading), arrangement.status);
    this.empty.update(kind, arrangement, table.rows.size, health);
    this.updateFooter();
    const count = arrangement.shown.length;
    this.press.apply(() => this.options.events.onHeight(count && (count + 1) * ROW + 4));
  }

  updateFooter(): void {
    const { rows } = this.table;
    const { shown } = this.arrangement;
    this.footer.update({
      kind: this.kind,
      loading: this.options.context.store.healthOf(this.kind.name).loading,
      count: rows.size,
      shown: shown.length,
      selected: this.selectedRows,
      selectedShown: this.selection.size && shown.filter((row) => this.selection.has(idOf(row))).length,
      progress: this.options.progress(),
    });
  }

  clearSearch(): void {
    this.toolbar.search.value = "";
    this.search("");
  }

  close(): void {
    clearTimeout(this.speech);
    this.grid.close();
    this.press.close();
  }

  private get arrangement(): Arrangement {
    const { name } = this.kind;
    const arrangement = this.arrangements.get(name) ?? new Arrangement(this.kind, this.options.context.store);
    if (!this.arrangements.has(name)) {
      arrangement.sort = this.options.layout.sort(name) ?? arrangement.sort;
      this.arrangements.set(name, arrangement);
    }
    return arrangement;
  }

  private get table(): Table {
    return this.options.context.store.table(this.kind.name);
  }

  private get selectedRows(): Row[] {
    const { rows } = this.table;
    return this.selection.all.map((id) => rows.get(id)).filter((row) => row !== undefined);
  }

  private newGrid(): Grid {
    const { context, layout, isOpen, events } = this.options;
    const content = { kind: this.kind, arrangement: this.arrangement, widths: layout.widths(this.kind.name) };
    return new Grid(context.store, this.selection, content, isOpen, {
      onSort: (key) => this.sort(key),
      onWidths: (widths) => layout.setWidths(this.kind.name, widths),
      onMove: (row) => events.onMove(row),
      onOpen: (row) => events.onOpen(row),
      onMenu: (row, at) => this.openMenu(row, at),
      onRemove: (row) => this.remove(row),
      onDismiss: (row) => this.dismiss(row),
      onSearch: () => this.toolbar.search.focus(),
    });
  }

  private selected(): void {
    this.grid.redecorate();
    this.updateFooter();
  }

  private search(search: string): void {
    this.arrangement.search = search;
    this.filtered();
  }

  private filter(status: string | null): void {
    this.arrangement.status = status;
    this.filtered();
  }

  private showAll(): void {
    this.toolbar.search.value = "";
    this.arrangement.search = "";
    this.filter("");
  }

  private filtered(): void {
    this.arrangement.filter();
    this.grid.toTop();
    this.grid.refresh();
    this.update();
    const { singular, plural } = this.kind.spec;
    const sentence = `${counted(this.arrangement.shown.length, singular, plural)} shown`;
    clearTimeout(this.speech);
    this.speech = setTimeout(() => this.options.events.onSpeak(sentence), PAUSE);
  }

  private sort(key: string): void {
    const [before, direction] = this.arrangement.sort;
    this.arrangement.sort = [key, before === key && direction > 0 ? -1 : 1];
    this.arrangement.arrange(this.table.rows.values());
    this.grid.layout();
    this.grid.focusHeader(key);
    this.options.layout.setSort(this.kind.name, this.arrangement.sort);
  }

  /** What is selected, or this one. */
  private remove(row: Row): void {
    const rows = this.selection.has(idOf(row)) ? this.selectedRows : [row];
    const action = this.kind.spec.actions.find(({ destructive }) => destructive);
    if (!action) return;
    const fit = rows.filter((each) => allows(action, this.kind, each));
    this.options.events.onAct(action, fit);
  }

  private openMenu(row: Row, at: Place): void {
    const { context, events } = this.options;
    const isMarked = Boolean(context.store.mark(this.kind.name, idOf(row))?.error);
    const entries = rowMenu(
      this.kind,
      row,
      { isMarked, over: context.over() },
      {
        onAct: events.onAct,
        onDismiss: () => this.dismiss(row),
        onCopy: () => void copyText(idOf(row)).then(() => context.say("Copied.")),
        onOpen: () => events.onOpen(row),
      },
    );
    openMenu(context.root, entries, at, () => this.grid.focus());
  }

  private dismiss(row: Row): void {
    this.options.context.send({ op: "dismiss", kind: this.kind.name, id: idOf(row) });
  }
}
