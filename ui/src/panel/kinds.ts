import type { Column as ColumnSpec, Kind, Row } from "../protocol/panel";

/** A column, and where its value is in a row. */
export interface Column {
  key: string;
  label: string;
  form: ColumnSpec[2];
  width: number;
  rank: number;
  at: number;
}

/** A kind of resource, and what can be read from its rows. */
export class ResourceKind {
  readonly name: string;
  readonly columns: readonly Column[];
  private readonly places: ReadonlyMap<string, number>;
  private readonly ended: ReadonlySet<string>;
  private readonly settled: ReadonlySet<string>;
  private readonly statusAt: number | undefined;

  constructor(readonly spec: Kind) {
    this.name = spec.name;
    this.columns = spec.columns.map(([key, label, form, width, rank], index) => {
      return { key, label, form, width, rank, at: key === "id" ? 0 : index + 1 };
    });
    this.places = new Map(this.columns.map(({ key, at }) => [key, at]));
    this.ended = new Set(spec.ended);
    this.settled = new Set(spec.settled);
    this.statusAt = this.places.get("status") ?? this.places.get("state");
  }

  get hasStatus(): boolean {
    return this.statusAt !== undefined;
  }

  /** True if resources of this kind end and are shown still. */
  get canEnd(): boolean {
    return this.ended.size > 0;
  }

  has(key: string): boolean {
    return this.places.has(key);
  }

  column(key: string): Column | undefined {
    return this.columns.find((column) => column.key === key);
  }

  text(row: Row, key: string): string {
    return (this.value(row, key) as string | null) ?? "";
  }

  number(row: Row, key: string): number | null {
    return this.value(row, key) as number | null;
  }

  status(row: Row): string {
    return this.statusAt === undefined ? "" : String(row[this.statusAt] ?? "");
  }

  hasEnded(row: Row): boolean {
    return this.ended.has(this.status(row));
  }

  isEnd(status: string): boolean {
    return this.ended.has(status);
  }

  hasSettled(row: Row): boolean {
    return this.settled.has(this.status(row));
  }

  /** The name of a resource; its id where it has none. */
  label(row: Row): string {
    return (row[1] as string | null) || idOf(row);
  }

  private value(row: Row, key: string): unknown {
    const at = this.places.get(key);
    return at === undefined ? null : (row[at] ?? null);
  }
}

export function idOf(row: Row): string {
  return row[0] as string;
}
