/** What is searched for: a text, whatever its case. */
export class Query {
  readonly isEmpty: boolean;
  private readonly pattern: RegExp;

  constructor(wanted: string) {
    this.isEmpty = !wanted;
    this.pattern = new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"), "gi");
  }

  finds(text: string): boolean {
    this.pattern.lastIndex = 0;
    return !this.isEmpty && this.pattern.test(text);
  }

  /** The text in parts, those marked that were searched for. */
  parts(text: string): { text: string; marked: boolean }[] {
    if (this.isEmpty) return [{ text, marked: false }];
    const parts: { text: string; marked: boolean }[] = [];
    let last = 0;
    for (const { index, 0: found } of text.matchAll(this.pattern)) {
      if (index > last) parts.push({ text: text.slice(last, index), marked: false });
      parts.push({ text: found, marked: true });
      last = index + found.length;
    }
    if (last < text.length) parts.push({ text: text.slice(last), marked: false });
    return parts;
  }
}
