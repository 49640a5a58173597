import type { Entry } from "../../protocol/files";

export type SortKey = "name" | "size" | "changed";

export interface Order {
  key: SortKey;
  descending: boolean;
}

const byName = new Intl.Collator([], { numeric: true }).compare;
const VALUES: Record<SortKey, (entry: Entry) => number> = {
  name: () => 0,
  size: ([, kind, size]) => (kind === "file" ? size : -1),
  changed: ([, , , changed]) => changed,
};

/** The order after a press on a column's head: names first go up, sizes and times down; pressed again, the other way. */
export function nextOrder(order: Order, key: SortKey): Order {
  return { key, descending: order.key === key ? !order.descending : key !== "name" };
}

/** The entries that are shown, folders first; hidden ones begin with a dot. */
export function shownEntries(entries: readonly Entry[], order: Order, withHidden: boolean): Entry[] {
  return entries.filter(([name]) => withHidden || !name.startsWith(".")).sort((a, b) => compare(a, b, order));
}

function compare(a: Entry, b: Entry, { key, descending }: Order): number {
  const folders = Number(b[1] === "directory") - Number(a[1] === "directory");
  if (folders) return folders;
  const sign = descending ? -1 : 1;
  if (key === "name") return sign * byName(a[0], b[0]);
  return sign * (VALUES[key](a) - VALUES[key](b)) || byName(a[0], b[0]);
}
