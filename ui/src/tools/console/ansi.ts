// Colours and styles in what programs print: the escape sequences `ESC [ ... m`.

const SGR = /\x1b\[([0-9;:]*)m/g;

/** One of the 16 colours that a theme has, or red, green and blue. */
export type Color = number | readonly [red: number, green: number, blue: number];

const FLAGS = { 1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse", 9: "struck" } as const;
export type Flag = (typeof FLAGS)[keyof typeof FLAGS];
const ENDS: Record<number, readonly Flag[]> = {
  22: ["bold", "faint"],
  23: ["italic"],
  24: ["underline"],
  27: ["inverse"],
  29: ["struck"],
};

export interface Style {
  readonly foreground: Color | null;
  readonly background: Color | null;
  readonly flags: ReadonlySet<Flag>;
}

export const PLAIN: Style = { foreground: null, background: null, flags: new Set() };

export interface Span {
  text: string;
  style: Style;
}

/** A text in spans of one style, and the style of what follows it. */
export function parseAnsi(text: string, begin: Style): { spans: Span[]; style: Style } {
  const spans: Span[] = [];
  let style = begin;
  let last = 0;
  for (const found of text.matchAll(SGR)) {
    if (found.index > last) spans.push({ text: text.slice(last, found.index), style });
    style = applySgr(style, found[1] ?? "");
    last = found.index + found[0].length;
  }
  if (last < text.length) spans.push({ text: text.slice(last), style });
  return { spans, style };
}

/** The style after the parameters of one sequence. Those of a colour are separated by `;` or, within one, by `:`. */
export function applySgr(style: Style, parameters: string): Style {
  const rest = parameters.split(";");
  let next = style;
  while (rest.length) {
    const [code = 0, ...own] = (rest.shift() ?? "").split(":").map(Number);
    if (code === 38 || code === 48) {
      const color = own.length ? colorOf(withoutColorSpace(own)) : takeColor(rest);
      next = code === 38 ? { ...next, foreground: color } : { ...next, background: color };
    } else {
      next = applyCode(next, code === 4 && own[0] === 0 ? 24 : code);
    }
  }
  return next;
}

function applyCode(style: Style, code: number): Style {
  if (code === 0) return PLAIN;
  const flag = FLAGS[code as keyof typeof FLAGS];
  if (flag) return { ...style, flags: new Set([...style.flags, flag]) };
  const ended = ENDS[code];
  if (ended) return { ...style, flags: new Set([...style.flags].filter((each) => !ended.includes(each))) };
  if (code === 39) return { ...style, foreground: null };
  if (code === 49) return { ...style, background: null };
  const [ground, color] = themeColor(code);
  return ground ? { ...style, [ground]: color } : style;
}

function themeColor(code: number): ["foreground" | "background" | null, number] {
  if (code >= 30 && code < 38) return ["foreground", code - 30];
  if (code >= 40 && code < 48) return ["background", code - 40];
  if (code >= 90 && code < 98) return ["foreground", code - 82];
  if (code >= 100 && code < 108) return ["background", code - 92];
  return [null, 0];
}

/** The colour in the parameters after 38 or 48, which it takes away: `5;n`, or `2;r;g;b`. */
function takeColor(rest: string[]): Color | null {
  const count = Number(rest[0]) === 2 ? 4 : Number(rest[0]) === 5 ? 2 : 1;
  return colorOf(rest.splice(0, count).map(Number));
}

/** `2::r:g:b` has a place for the name of a colour space, `2:r:g:b` has none. */
function withoutColorSpace(own: readonly number[]): readonly number[] {
  return own[0] === 2 && own.length > 4 ? [2, ...own.slice(2)] : own;
}

function colorOf([mode, first = 0, second = 0, third = 0]: readonly number[]): Color | null {
  if (mode === 2) return [first & 255, second & 255, third & 255];
  return mode === 5 ? paletteColor(first & 255) : null;
}

/** One of the 256 colours: 16 of the theme, a cube of 6 x 6 x 6, and 24 greys. */
function paletteColor(number: number): Color {
  if (number < 16) return number;
  if (number >= 232) {
    const grey = 8 + 10 * (number - 232);
    return [grey, grey, grey];
  }
  const cube = number - 16;
  return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}

function level(step: number): number {
  return step ? 55 + 40 * step : 0;
}
