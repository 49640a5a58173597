import { CELL_MAGICS, type CellMagic } from "../protocol/magics";
import { unquote, wordsOf } from "./words";

/** What says the language of a cell's body: its name, the name of a file, or a program. */
export type BodyLanguage = { name: string } | { file: string } | { program: string };

/** A part of the magic's line, by its place in the cell. */
export interface MagicWord {
  from: number;
  to: number;
  kind: "magic" | "option" | "value";
}

export interface Magic {
  /** The place of its line in the cell. */
  from: number;
  to: number;
  words: readonly MagicWord[];
  body: BodyLanguage;
}

/** The number of characters at the beginning of a cell in which its magic is looked for. */
export const HEAD = 8_000;

// IPython skips the empty lines above a cell magic.
const FIRST_LINE = /^(?:[ \t]*\r?\n)*%%([^\r\n]*)/;
const LONGEST_NAME = 3; // words, as in `runloop blueprint build`

/** The magic of ours that a cell begins with, told from its first characters; null for any other cell. */
export function findMagic(head: string): Magic | null {
  const match = FIRST_LINE.exec(head);
  if (!match) return null;
  const line = match[1] as string;
  const to = match[0].length;
  const start = to - line.length;
  const words = wordsOf(line);
  const known = named(words.map((word) => word.text));
  if (!known) return null;
  return {
    from: start - 2,
    to,
    words: words.map(({ from, text }, index) => ({
      from: start + from - (index ? 0 : 2),
      to: start + from + text.length,
      kind: index < known.length ? "magic" : isOption(text) ? "option" : "value",
    })),
    body: bodyLanguage(
      known.magic,
      words.slice(known.length).map((word) => unquote(word.text)),
    ),
  };
}

function named(words: readonly string[]): { magic: CellMagic; length: number } | null {
  for (let length = LONGEST_NAME; length > 1; length--) {
    const name = words.slice(0, length).join(" ");
    if (Object.hasOwn(CELL_MAGICS, name)) return { magic: CELL_MAGICS[name] as CellMagic, length };
  }
  return null;
}

function bodyLanguage(magic: CellMagic, words: readonly string[]): BodyLanguage {
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string;
    if (!isOption(word)) {
      if (magic.file) return { file: word };
      continue;
    }
    const [option, inline] = word.split(/=(.*)/s, 2) as [string, string?];
    const value = inline ?? (magic.valued.includes(option) ? words[++index] : undefined);
    if (option === magic.program && value) return { program: value };
  }
  return { name: magic.language };
}

const isOption = (word: string) => word.length > 1 && word.startsWith("-");
