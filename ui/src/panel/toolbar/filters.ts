import { statusLook } from "../../format/statuses";
import { numbered } from "../../format/words";
import type { ResourceKind } from "../kinds";
import type { Table } from "../store";

/** A choice of which rows are shown; `status` as in an arrangement. */
export interface Filter {
  status: string | null;
  label: string;
  count: string;
}

export function liveCount(kind: ResourceKind, { rows, counts }: Table): number {
  let live = rows.size;
  for (const [status, count] of counts) if (kind.isEnd(status)) live -= count;
  return live;
}

/**
 * The filters of a table: the live ones, all, and each status that there is, the most frequent first. `loading` if more
 * rows are still to come.
 */
export function filtersOf(kind: ResourceKind, table: Table, chosen: string | null, loading: boolean): Filter[] {
  if (!kind.hasStatus) return [];
  const all = { status: "", label: "All", count: numbered(table.rows.size, loading) };
  const live = { status: null, label: "Live", count: numbered(liveCount(kind, table), loading) };
  const statuses = [...table.counts].sort((a, b) => b[1] - a[1]);
  if (chosen && !table.counts.has(chosen)) statuses.push([chosen, 0]);
  const each = statuses.map(([status, count]) => {
    return { status, label: statusLook(status).label, count: numbered(count, loading) };
  });
  return [...(kind.canEnd ? [live] : []), all, ...each];
}
