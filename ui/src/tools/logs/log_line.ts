import type { Line } from "../../protocol/logs";

/** True for a line that tells of a failure. */
export function isError([, , kind, level, text]: Line): boolean {
  return level === "error" || level === "fatal" || (kind === "exit" && !text.endsWith(" 0"));
}

/** The time of day, to the millisecond. */
export function clock(ms: number): string {
  const at = new Date(ms);
  const [hours, minutes, seconds] = [at.getHours(), at.getMinutes(), at.getSeconds()].map((each) => pad(each, 2));
  return `${hours}:${minutes}:${seconds}.${pad(at.getMilliseconds(), 3)}`;
}

function pad(number: number, digits: number): string {
  return String(number).padStart(digits, "0");
}

/** A line as it is copied. */
export function lineText([time, source, , , text]: Line): string {
  return `${clock(time)} ${source} ${text}`;
}

/** The level where it says something; that of most lines does not. */
export function badge([, , kind, level]: Line): string {
  return kind === "command" || level === "info" ? "" : level;
}

/** A line as it is read aloud. */
export function spokenLine(line: Line): string {
  const [time, source, , , text] = line;
  return `${[clock(time), source, badge(line)].filter(Boolean).join(", ")}: ${text}`;
}
