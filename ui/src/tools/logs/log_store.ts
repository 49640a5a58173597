import type { Line } from "../../protocol/logs";
import { isError } from "./log_line";
import { Query } from "./query";

/** What is shown: all lines, those that tell of a failure, or those of one source. */
export type Filter = { by: "all" } | { by: "errors" } | { by: "source"; source: string };

/** The lines that a page has, those of them that are shown, and those that have what is searched for. */
export class LogStore {
  /** The lines that were let go at the top, by the last call of `add`. */
  dropped = 0;
  private lines: Line[] = [];
  private held: Line[] = [];
  private indices: number[] = []; // of the lines that are shown
  private hits: number[] = []; // rows of those that have what is searched for
  private limit = Number.POSITIVE_INFINITY;
  private filter: Filter = { by: "all" };
  private onlyFound = false;
  private isPaused = false;
  query = new Query("");

  /** The number of rows. */
  get count(): number {
    return this.indices.length;
  }

  get isEmpty(): boolean {
    return this.lines.length === 0;
  }

  get paused(): boolean {
    return this.isPaused;
  }

  /** The number of lines that came while paused. */
  get heldCount(): number {
    return this.held.length;
  }

  row(row: number): Line | undefined {
    const index = this.indices[row];
    return index === undefined ? undefined : this.lines[index];
  }

  rows(): Line[] {
    return this.indices.map((index) => this.lines[index] as Line);
  }

  /** Begin anew, with so many lines at most. */
  reset(limit: number): void {
    this.limit = limit;
    this.isPaused = false;
    this.clear();
  }

  clear(): void {
    this.lines = [];
    this.held = [];
    this.refill();
  }

  /** Take new lines; returns false if they are held back, as it is paused. */
  add(lines: readonly Line[]): boolean {
    if (this.isPaused) {
      this.held = this.held.concat(lines).slice(-this.limit);
      return false;
    }
    const from = this.lines.length;
    this.lines = this.lines.concat(lines);
    this.dropped = Math.max(0, this.lines.length - this.limit);
    if (this.dropped) {
      this.lines = this.lines.slice(this.dropped);
      this.refill();
    } else {
      this.extend(from);
    }
    return true;
  }

  pause(): void {
    this.isPaused = true;
  }

  /** Take what came meanwhile. */
  goOn(): void {
    this.isPaused = false;
    const held = this.held;
    this.held = [];
    this.add(held);
  }

  setFilter(filter: Filter): void {
    this.filter = filter;
    this.refill();
  }

  setQuery(wanted: string): void {
    this.query = new Query(wanted);
    this.refill();
  }

  /** Show only lines that have what is searched for. */
  setOnlyFound(on: boolean): void {
    this.onlyFound = on;
    this.refill();
  }

  /** The row of the next hit (the one before for a negative step), around the ends; -1 if there is none. */
  hitFrom(row: number, step: number): number {
    const found = step > 0 ? this.hits.find((each) => each > row) : this.hits.findLast((each) => each < row);
    return found ?? this.hits.at(step > 0 ? 0 : -1) ?? -1;
  }

  /** How many hits there are, and which of them a row is. */
  hitCount(row: number): string {
    if (this.query.isEmpty) return "";
    if (!this.hits.length) return "none";
    const at = this.hits.indexOf(row);
    return at >= 0 ? `${at + 1} of ${this.hits.length}` : String(this.hits.length);
  }

  private refill(): void {
    this.indices = [];
    this.hits = [];
    this.extend(0);
  }

  private extend(from: number): void {
    for (let index = from; index < this.lines.length; index++) {
      const line = this.lines[index] as Line;
      if (!this.passes(line)) continue;
      const found = this.query.finds(line[4]);
      if (this.onlyFound && !this.query.isEmpty && !found) continue;
      if (found) this.hits.push(this.indices.length);
      this.indices.push(index);
    }
  }

  private passes(line: Line): boolean {
    switch (this.filter.by) {
      case "errors":
        return isError(line);
      case "source":
        return line[1] === this.filter.source;
      default:
        return true;
    }
  }
}
