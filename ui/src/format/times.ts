// Times are milliseconds since 1970, as the service's clock has them.

/** A length of time, rounded down to its two largest units. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** The same in one unit, rounded up. */
export function roughSpan(ms: number): string {
  const minutes = Math.ceil(ms / 60000);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2880 ? `${Math.ceil(minutes / 60)} h` : `${Math.ceil(minutes / 1440)} d`;
}

/** The same, to the tenth of a second where it is short. */
export function exactSpan(ms: number): string {
  if (ms < 10000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  if (ms >= 60000 && ms < 3600000) return `${Math.floor(ms / 60000)} min ${Math.floor((ms % 60000) / 1000)} s`;
  return span(ms);
}

/** A time as seen from `now`; empty for none. */
export function relative(ms: number | null | undefined, now: number): string {
  if (ms === null || ms === undefined) return "";
  const ago = now - ms;
  if (Math.abs(ago) < 3000) return "just now";
  return ago > 0 ? `${span(ago)} ago` : `in ${span(-ago)}`;
}

/** A time that has been: a clock that is ahead does not make it one to come. */
export function past(ms: number | null | undefined, now: number): number | null {
  return ms === null || ms === undefined ? null : Math.min(ms, now);
}

export function exactTime(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? "" : new Date(ms).toLocaleString();
}
