const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** A size as people read it; empty for none. */
export function bytes(size: number | null | undefined): string {
  if (size === null || size === undefined) return "";
  let value = size;
  let at = 0;
  while (at < UNITS.length - 1 && Math.round(value) >= 1000) {
    value /= 1000;
    at++;
  }
  const digits = at && value < 99.95 ? value.toFixed(1) : String(Math.round(value));
  return `${digits} ${UNITS[at]}`;
}
