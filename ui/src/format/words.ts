/** A number, as far as it is known: "1,200", or "1,200+" while more are still to come. */
export function numbered(count: number, more: boolean): string {
  return count.toLocaleString() + (more ? "+" : "");
}

/** A number with its word: "1 devbox", "2,000 devboxes". */
export function counted(count: number, singular: string, plural: string): string {
  return `${count.toLocaleString()} ${count === 1 ? singular : plural}`;
}
