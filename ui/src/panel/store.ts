import type * as protocol from "../protocol/panel";
import { idOf, ResourceKind } from "./kinds";

type Row = protocol.Row;

/** How long a row that has changed is shown as such, in milliseconds. */
export const FLASH = 1400;

const UNKNOWN: protocol.Health = { loading: true, error: "", retry: null };

/** The rows of one kind by their ids, and how many of them have each status. */
export class Table {
  readonly rows = new Map<string, Row>();
  readonly counts = new Map<string, number>();
  /** True while parts of it are still to come. */
  isPartial = false;
  private unseen = new Set<string>(); // rows that were in no part yet

  constructor(private readonly kind: ResourceKind) {}

  put(row: Row): void {
    this.remove(idOf(row));
    this.rows.set(idOf(row), row);
    this.count(row, 1);
  }

  remove(id: string): void {
    const row = this.rows.get(id);
    if (!row) return;
    this.rows.delete(id);
    this.count(row, -1);
  }

  /** Take a part of the whole table: what was there before stays until the last part tells that it is gone. */
  takePart(rows: readonly Row[], { first, last }: { first: boolean; last: boolean }): Change {
    if (first) this.unseen = new Set(this.rows.keys());
    const removed: Row[] = [];
    const remove = (id: string) => {
      const row = this.rows.get(id);
      if (row) removed.push(row);
      this.remove(id);
    };
    for (const row of rows) {
      this.unseen.delete(idOf(row));
      remove(idOf(row));
      this.put(row);
    }
    if (last) for (const id of this.unseen) remove(id);
    this.isPartial = !last;
    return { added: rows, removed };
  }

  private count(row: Row, by: number): void {
    const status = this.kind.status(row);
    const count = (this.counts.get(status) ?? 0) + by;
    if (count) this.counts.set(status, count);
    else this.counts.delete(status);
  }
}

/** Rows that are new or different, and those that they replace or that are gone. */
export interface Change {
  added: readonly Row[];
  removed: readonly Row[];
}

/** What a view knows of the panel's state: it takes the kernel's events, and answers the page's questions. */
export class Store {
  readonly kinds: ReadonlyMap<string, ResourceKind>;
  /** The kinds that have a tab, in their order. */
  tabs: readonly string[];
  current = "";
  service = "";
  model = "";
  tools: readonly protocol.OpenTool[] = [];
  tool = "";
  private readonly tables: ReadonlyMap<string, Table>;
  private readonly health = new Map<string, protocol.Health>();
  private readonly marks = new Map<string, protocol.Mark>();
  private readonly flashes = new Map<string, number>();
  private skew = 0; // how much the service's clock is ahead of the page's, in milliseconds

  constructor(
    kinds: readonly protocol.Kind[],
    private readonly clock: () => number = Date.now,
  ) {
    this.kinds = new Map(kinds.map((kind) => [kind.name, new ResourceKind(kind)]));
    this.tables = new Map([...this.kinds.values()].map((kind) => [kind.name, new Table(kind)]));
    this.tabs = kinds.slice(0, 4).map(({ name }) => name);
  }

  kind(name: string): ResourceKind {
    const kind = this.kinds.get(name);
    if (!kind) throw new Error(`no kind is called ${name}`);
    return kind;
  }

  table(kind: string): Table {
    const table = this.tables.get(kind);
    if (!table) throw new Error(`no kind is called ${kind}`);
    return table;
  }

  row(kind: string, id: string): Row | undefined {
    return this.tables.get(kind)?.rows.get(id);
  }

  /** The name of a resource; its id where it has none, or is not known. */
  nameOf(kind: string, id: string): string {
    const row = this.row(kind, id);
    return row ? this.kind(kind).label(row) : id;
  }

  /** The name of what a devbox or a snapshot was made from; its id where it is not known. */
  sourceName(id: string): string {
    if (!id) return "";
    for (const { rows } of this.tables.values()) {
      const name = rows.get(id)?.[1];
      if (name) return name as string;
    }
    return id;
  }

  healthOf(kind: string): protocol.Health {
    const health = this.health.get(kind) ?? UNKNOWN;
    return this.table(kind).isPartial ? { ...health, loading: true } : health;
  }

  /** What is being done to a resource, or went wrong with it. */
  mark(kind: string, id: string): { doing: string; error: string } | null {
    const mark = this.marks.get(key(kind, id));
    return mark ? { doing: mark[2], error: mark[3] } : null;
  }

  /** The milliseconds since a row has changed, while that is to be seen. */
  flashAge(kind: string, id: string): number | null {
    const at = this.flashes.get(key(kind, id));
    const age = at === undefined ? FLASH : this.clock() - at;
    return age < FLASH ? age : null;
  }

  /** Forget which rows have flashed. */
  fade(): void {
    for (const [name, at] of this.flashes) if (this.clock() - at >= FLASH) this.flashes.delete(name);
  }

  /** The time of the service's clock, in milliseconds since 1970. */
  now(): number {
    return this.clock() + this.skew;
  }

  takeSnapshot(event: protocol.Snapshot): void {
    this.skew = event.now - this.clock();
    this.tabs = event.kinds;
    this.current = event.current;
    this.service = event.service;
    this.model = event.model;
    this.tools = event.tools;
    this.tool = event.tool;
    this.health.clear();
    for (const [kind, health] of Object.entries(event.health)) this.health.set(kind, health);
    this.marks.clear();
    for (const mark of event.marks) this.marks.set(key(mark[0], mark[1]), mark);
  }

  takeTable({ kind, rows, ...place }: protocol.Table): Change {
    return this.table(kind).takePart(JSON.parse(new TextDecoder().decode(rows)) as Row[], place);
  }

  changeRows({ kind, rows, gone }: protocol.RowsChanged): Change {
    const table = this.table(kind);
    const ids = [...rows.map(idOf), ...gone];
    const removed = ids.map((id) => table.rows.get(id)).filter((row) => row !== undefined);
    for (const row of rows) {
      if (table.rows.has(idOf(row))) this.flashes.set(key(kind, idOf(row)), this.clock());
      table.put(row);
    }
    for (const id of gone) {
      table.remove(id);
      this.marks.delete(key(kind, id));
    }
    return { added: rows, removed };
  }

  changeHealth({ kind, health }: protocol.HealthChanged): void {
    this.health.set(kind, health);
  }

  changeMarks({ marks }: protocol.MarksChanged): void {
    for (const mark of marks) {
      const [kind, id, doing, error] = mark;
      if ((doing || error) && this.row(kind, id)) this.marks.set(key(kind, id), mark);
      else this.marks.delete(key(kind, id));
    }
  }

  changeClock({ now }: protocol.ClockChanged): void {
    this.skew = now - this.clock();
  }

  changeTools({ tools, tool }: protocol.ToolsChanged): void {
    this.tools = tools;
    this.tool = tool;
  }
}

function key(kind: string, id: string): string {
  return `${kind}:${id}`;
}
