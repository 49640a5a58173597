import type { Column } from "../kinds";

/** The user's widths of columns in pixels, by their keys. */
export type Widths = Readonly<Record<string, number>>;

/** The first column, of check boxes, and the last one, of menus: their widths in pixels. */
const CHECK = 34;
const MENU = 36;

export function widthOf(column: Column, widths: Widths): number {
  return widths[column.key] ?? column.width;
}

export function boundedWidth(width: number): number {
  return Math.max(60, Math.min(width, 800));
}

/** The columns that have room; those of the highest rank go first. */
export function fittingColumns(all: readonly Column[], widths: Widths, room: number): readonly Column[] {
  let columns = all.filter(({ label }) => label);
  const total = () => columns.reduce((sum, column) => sum + widthOf(column, widths), CHECK + MENU);
  while (total() > room && columns.some(({ rank }) => rank)) {
    const last = columns.reduce((a, b) => (b.rank > a.rank ? b : a));
    columns = columns.filter((column) => column !== last);
  }
  return columns;
}

/** The tracks of the table's rows, as CSS has them: what is left goes to the names. */
export function tracks(columns: readonly Column[], widths: Widths): string {
  const inner = columns.map((column) => {
    const width = widthOf(column, widths);
    return column.key === "name" ? `minmax(${Math.min(width, 120)}px, ${width}fr)` : `minmax(60px, ${width}px)`;
  });
  return [`${CHECK}px`, ...inner, `${MENU}px`].join(" ");
}
