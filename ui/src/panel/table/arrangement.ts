import type { Row } from "../../protocol/panel";
import { idOf, type ResourceKind } from "../kinds";
import type { Change, Store } from "../store";

/** A column's key, and 1 for ascending or -1 for descending. */
export type Sort = readonly [key: string, direction: 1 | -1];
type Value = string | number;

const SIZES = ["x-small", "small", "medium", "large", "x-large", "xx-large"];
const MANY = 200; // changes from which on it is cheaper to sort anew

/** Decides which rows of a kind are shown, and in which order. All rows stay sorted, so that a change costs little. */
export class Arrangement {
  /** The rows that are shown, in their order. */
  shown: Row[] = [];
  /** Only rows with this status; null for all that have not ended, "" for all. */
  status: string | null;
  sort: Sort;
  private sorted: Row[] = [];
  private words: readonly string[] = [];
  private searchText = "";
  private haystacks = new WeakMap<Row, string>();
  private value: (row: Row) => Value;

  constructor(
    private readonly kind: ResourceKind,
    private readonly store: Pick<Store, "now" | "sourceName">,
  ) {
    this.status = kind.canEnd ? null : "";
    this.sort = kind.has("created") ? ["created", -1] : ["name", -1];
    this.value = this.valueBy(this.sort[0]);
  }

  get search(): string {
    return this.searchText;
  }

  set search(text: string) {
    this.searchText = text;
    this.words = text.toLowerCase().split(/\s+/).filter(Boolean);
  }

  /** Sort all rows, and choose those that are shown. */
  arrange(rows: Iterable<Row>): void {
    this.value = this.valueBy(this.sort[0]);
    const valued = [...rows].map((row) => [this.value(row), row] as const);
    valued.sort(([x, a], [y, b]) => this.order(x, a, y, b));
    this.sorted = valued.map(([, row]) => row);
    this.filter();
  }

  /** The names of sources are others now: what is found in rows, and where they belong, may be different. */
  sourcesChanged(rows: Iterable<Row>): void {
    this.haystacks = new WeakMap();
    this.arrange(rows);
  }

  /** Choose those that are shown by the search and the status. */
  filter(): void {
    this.shown = this.sorted.filter((row) => this.fits(row));
  }

  /** Take rows away, and put others where they belong. */
  apply({ added, removed }: Change): void {
    if (added.length + removed.length > MANY) {
      const lost = new Set(removed);
      this.arrange([...this.sorted.filter((row) => !lost.has(row)), ...added]);
      return;
    }
    for (const row of removed) {
      this.take(this.sorted, row);
      if (this.fits(row)) this.take(this.shown, row);
    }
    for (const row of added) {
      this.sorted.splice(this.place(this.sorted, row), 0, row);
      if (this.fits(row)) this.shown.splice(this.place(this.shown, row), 0, row);
    }
  }

  private fits(row: Row): boolean {
    if (this.status === null ? this.kind.hasEnded(row) : this.status && this.kind.status(row) !== this.status)
      return false;
    return this.words.every((word) => this.haystack(row).includes(word));
  }

  private haystack(row: Row): string {
    let text = this.haystacks.get(row);
    if (text === undefined) {
      const source = this.store.sourceName(this.kind.text(row, "source"));
      text = [...row.filter((value) => typeof value === "string"), source].join("\n").toLowerCase();
      this.haystacks.set(row, text);
    }
    return text;
  }

  private take(rows: Row[], row: Row): void {
    const expected = this.place(rows, row);
    const at = rows[expected] === row ? expected : rows.indexOf(row);
    if (at >= 0) rows.splice(at, 1);
  }

  /** The index of the first row that does not come before this one. */
  private place(rows: readonly Row[], row: Row): number {
    const value = this.value(row);
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = rows[middle] as Row;
      if (this.order(this.value(other), other, value, row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private order(x: Value, a: Row, y: Value, b: Row): number {
    if (x !== y) return (x < y ? -1 : 1) * this.sort[1];
    return idOf(a) < idOf(b) ? -1 : idOf(a) > idOf(b) ? 1 : 0;
  }

  /** What rows are sorted by: what the column shows, as a number or in small letters. */
  private valueBy(key: string): (row: Row) => Value {
    const { kind } = this;
    const now = this.store.now();
    switch (kind.column(key)?.form) {
      case "ending":
        return (row) => kind.number(row, key) ?? kind.number(row, "until") ?? Number.POSITIVE_INFINITY;
      case "span":
        return (row) => lasted(kind.number(row, "created"), kind.number(row, key) ?? now);
      case "source":
        return (row) => this.store.sourceName(kind.text(row, key)).toLowerCase();
      case "time":
      case "bytes":
        return (row) => kind.number(row, key) ?? -1;
      default:
        if (key === "size") return (row) => SIZES.indexOf(kind.text(row, key));
        return (row) => comparable(kind.text(row, key));
    }
  }
}

function lasted(from: number | null, until: number): number {
  return from === null ? -1 : until - from;
}

function comparable(value: unknown): Value {
  return typeof value === "number" ? value : String(value).toLowerCase();
}
