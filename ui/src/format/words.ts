/** A number with its word: "1 devbox", "2,000 devboxes". */
export function counted(count: number, singular: string, plural: string): string {
  return `${count.toLocaleString()} ${count === 1 ? singular : plural}`;
}
