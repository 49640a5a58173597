const PAUSE = 800; // milliseconds after which another name begins

/** Finds an entry by the first letters of its name, typed one after the other. */
export class TypeAhead {
  private typed = "";
  private at = Number.NEGATIVE_INFINITY;

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** The index of the first name that begins with what was typed; -1 for none. */
  find(key: string, names: readonly string[]): number {
    const now = this.now();
    this.typed = (now - this.at < PAUSE ? this.typed : "") + key.toLowerCase();
    this.at = now;
    return names.findIndex((name) => name.toLowerCase().startsWith(this.typed));
  }
}
