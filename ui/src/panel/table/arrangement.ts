import type { Row } from "../../protocol/panel";
import { idOf, type ResourceKind } from "../kinds";
import type { Change, Store } from "../store";

/** A column's key, and 1 for ascending or -1 for descending. */
export type Sort = readonly [key: string, direction: 1 | -1];
type Value = string | number;

/** A row with what it is sorted by, and what is searched in it, which is made by the first search. */
interface Entry {
  row: Row;
  value: Value;
  haystack: string | null;
}

const SIZES = ["x-small", "small", "medium", "large", "x-large", "xx-large"];
const MANY = 200; // changes from which on it is cheaper to sort all, of which most are in order

/** Decides which rows of a kind are shown, and in which order. All rows stay sorted, so that a change costs little. */
export class Arrangement {
  /** The rows that are shown, in their order. */
  shown: Row[] = [];
  /** Only rows with this status; null for all that have not ended, "" for all. */
  status: string | null;
  sort: Sort;
  private sorted: Entry[] = [];
  /** What was looked for last, and what fitted; null once there are other rows. */
  private found: { search: string; status: string | null; entries: readonly Entry[] } | null = null;
  private words: readonly string[] = [];
  private searchText = "";
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
    this.found = null;
    this.sorted = [...rows].map((row) => this.entry(row)).sort((a, b) => this.order(a, b));
    this.filter();
  }

  /** Make what is searched in the rows, so that the first key of a search does not wait for it. */
  prepareSearch(): void {
    for (const entry of this.sorted) this.haystack(entry);
  }

  /** Choose those that are shown by the search and the status. */
  filter(): void {
    const { status, searchText: search } = this;
    const entries = this.candidates.filter((entry) => this.fits(entry));
    this.found = { search, status, entries };
    this.shown = entries.map(({ row }) => row);
  }

  /** Take rows away, and put others where they belong. */
  apply({ added, removed }: Change): void {
    this.found = null;
    if (added.length + removed.length > MANY) {
      const lost = new Set(removed);
      const kept = lost.size ? this.sorted.filter(({ row }) => !lost.has(row)) : this.sorted;
      this.sorted = [...kept, ...added.map((row) => this.entry(row))].sort((a, b) => this.order(a, b));
      this.filter();
      return;
    }
    for (const row of removed) this.remove(row);
    for (const row of added) this.add(this.entry(row));
  }

  /** What can fit: one more letter finds nothing that was not found without it. */
  private get candidates(): readonly Entry[] {
    const { found, sorted, status, searchText } = this;
    return found && found.status === status && searchText.startsWith(found.search) ? found.entries : sorted;
  }

  private entry(row: Row): Entry {
    return { row, value: this.value(row), haystack: null };
  }

  private add(entry: Entry): void {
    this.sorted.splice(this.place(entry), 0, entry);
    if (!this.fits(entry)) return;
    this.shown.splice(this.placeShown(entry), 0, entry.row);
  }

  private remove(row: Row): void {
    const entry = this.entry(row);
    const at = this.place(entry);
    const found = this.sorted[at]?.row === row ? at : this.sorted.findIndex((each) => each.row === row);
    if (found >= 0) this.sorted.splice(found, 1);
    const shownAt = this.placeShown(entry);
    const foundShown = this.shown[shownAt] === row ? shownAt : this.shown.indexOf(row);
    if (foundShown >= 0) this.shown.splice(foundShown, 1);
  }

  private fits(entry: Entry): boolean {
    const { row } = entry;
    if (this.status === null && this.kind.hasEnded(row)) return false;
    if (this.status && this.kind.status(row) !== this.status) return false;
    return this.words.every((word) => this.haystack(entry).includes(word));
  }

  private haystack(entry: Entry): string {
    entry.haystack ??= this.searchable(entry.row);
    return entry.haystack;
  }

  private searchable(row: Row): string {
    let text = this.store.sourceName(this.kind.text(row, "source"));
    for (const value of row) if (typeof value === "string") text += `\n${value}`;
    return text.toLowerCase();
  }

  /** The index of the first row that does not come before this one. */
  private place(entry: Entry): number {
    return firstIndex(this.sorted.length, (at) => this.order(this.sorted[at] as Entry, entry) >= 0);
  }

  private placeShown(entry: Entry): number {
    return firstIndex(this.shown.length, (at) => this.order(this.entry(this.shown[at] as Row), entry) >= 0);
  }

  private order(a: Entry, b: Entry): number {
    if (a.value !== b.value) return (a.value < b.value ? -1 : 1) * this.sort[1];
    return idOf(a.row) < idOf(b.row) ? -1 : idOf(a.row) > idOf(b.row) ? 1 : 0;
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

/** The first index of `count` for which `reached` is true; once it is, it stays so. */
function firstIndex(count: number, reached: (index: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (reached(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function comparable(value: unknown): Value {
  return typeof value === "number" ? value : String(value).toLowerCase();
}
