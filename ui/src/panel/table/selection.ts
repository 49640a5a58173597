/** The rows of a table that are selected, by their ids. `changed` is called after each change. */
export class Selection {
  private ids: ReadonlySet<string> = new Set();
  private anchor: string | null = null;

  constructor(private readonly changed: () => void) {}

  get size(): number {
    return this.ids.size;
  }

  get all(): readonly string[] {
    return [...this.ids];
  }

  has(id: string): boolean {
    return this.ids.has(id);
  }

  set(ids: Iterable<string>): void {
    this.ids = new Set(ids);
    this.changed();
  }

  /** Where a range begins. */
  begin(id: string): void {
    this.anchor = id;
  }

  toggle(id: string): void {
    this.anchor = id;
    const ids = new Set(this.ids);
    if (!ids.delete(id)) ids.add(id);
    this.set(ids);
  }

  /** Select all from where the range begins to `id`, of these ids in their order. */
  extend(id: string, order: readonly string[]): void {
    const to = order.indexOf(id);
    const from = this.anchor === null ? -1 : order.indexOf(this.anchor);
    const [first, last] = from < 0 ? [to, to] : from < to ? [from, to] : [to, from];
    if (from < 0) this.anchor = id;
    this.set(order.slice(first, last + 1));
  }

  /** Forget those of which this is false, and tell nobody. */
  keep(stays: (id: string) => boolean): void {
    this.ids = new Set(this.all.filter(stays));
  }
}
