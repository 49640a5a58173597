/** Decides which of the kernel's events count. Events for all views are numbered; a snapshot says which it holds. */
export class EventOrder {
  private seen: number | null = null;

  /** True once a snapshot has come. */
  get started(): boolean {
    return this.seen !== null;
  }

  /** A new beginning: nothing counts until the snapshot is there. */
  restart(): void {
    this.seen = null;
  }

  /** `take` an event, `ignore` one that the snapshot holds already, or say that one was lost before it: a `gap`. */
  accept(event: { seq?: number; at?: number }): "take" | "ignore" | "gap" {
    if (event.at !== undefined) {
      this.seen ??= event.at;
      return event.at > this.seen ? "gap" : "take";
    }
    if (event.seq === undefined) return "take";
    if (this.seen === null || event.seq <= this.seen) return "ignore";
    if (event.seq > this.seen + 1) return "gap";
    this.seen = event.seq;
    return "take";
  }
}
