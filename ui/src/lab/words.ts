/** A word of a magic's line as it is typed, and where it begins. */
export interface Word {
  from: number;
  text: string;
}

// As Python's shlex has it: quotes hold words together, and so does {{ }}, an expression. A quote may not be closed yet.
const WORD = /(?:\{\{.*?\}\}|\\.|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'\\]|\\$)+/g;
const QUOTED = /\\(.)|"((?:[^"\\]|\\.)*)"?|'([^']*)'?/g;

export function wordsOf(line: string): Word[] {
  return Array.from(line.matchAll(WORD), (match) => ({ from: match.index, text: match[0] }));
}

/** What a word means: without its quotes. */
export function unquote(word: string): string {
  return word.replace(QUOTED, (_, escaped?: string, double?: string, single?: string) => {
    return escaped ?? single ?? (double ?? "").replace(/\\(["\\])/g, "$1");
  });
}
