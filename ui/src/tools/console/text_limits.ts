// How printed text is divided into chunks of lines that come and go together, and how lines are taken back.

export const MOST_LINES = 5_000;
export const MOST_CHARACTERS = 1_000_000;
export const CHUNK_LINES = 250;
/** The most characters of a chunk, where a line never ends. */
export const CHUNK_CHARACTERS = 40_000;

/** The ends of line in a text. */
export function endsOfLine(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

/** Where the part of a text ends that begins at `start` and goes into a chunk which has room for so many lines. */
export function cutFor(text: string, start: number, lines: number): number {
  const last = Math.min(text.length, start + CHUNK_CHARACTERS);
  let end = start;
  for (let line = 0; line < lines && end < last; line++) end = text.indexOf("\n", end) + 1 || text.length;
  return Math.min(end, last);
}

/** What is left of a text when so many ends of line are taken back, and all that follows the one before them. */
export function takenBack(text: string, lines: number): { characters: number; lines: number; rest: number } {
  const parts = text.split("\n");
  const ends = parts.length - 1;
  const left = ends - lines;
  if (left <= 0) return { characters: 0, lines: 0, rest: lines - ends };
  return { characters: parts.slice(0, left).join("\n").length + 1, lines: left, rest: 0 };
}

/** A text in parts of one line: `again` is true after a carriage return, which begins the last line again. */
export function lineParts(text: string): { again: boolean; ended: string; open: string }[] {
  return text.split("\r").map((part, index) => {
    const cut = part.lastIndexOf("\n") + 1;
    return { again: index > 0, ended: part.slice(0, cut), open: part.slice(cut) };
  });
}

/** The lines that a text waiting to be drawn takes, roughly. */
export function roughLines(text: string): number {
  return 1 + text.length / 80;
}
