import type { Color, Style } from "./ansi";

type RGB = readonly [red: number, green: number, blue: number];

const READABLE = 4.5; // what WCAG asks of text (AA)

/** The 16 colours where there is a background, in every theme. Without one the theme's own are used (console.css). */
const PAINTS: readonly RGB[] = [
  [0, 0, 0],
  [198, 40, 40],
  [11, 158, 102],
  [217, 217, 16],
  [29, 103, 184],
  [169, 50, 169],
  [14, 143, 174],
  [224, 224, 224],
  [102, 102, 102],
  [229, 57, 53],
  [31, 201, 138],
  [245, 245, 67],
  [59, 142, 234],
  [214, 112, 214],
  [41, 184, 219],
  [255, 255, 255],
];

/** The CSS colours of a style; empty ones are the text's and the page's own. */
export function cssColors(style: Style): { color: string; background: string } {
  const { foreground, background, flags } = style;
  const [front, back] = flags.has("inverse") ? [background, foreground] : [foreground, background];
  if (back !== null) {
    return {
      color: css(front === null ? readableOn(rgb(back)) : readable(rgb(front), rgb(back))),
      background: css(back),
    };
  }
  if (front === null) return { color: "", background: "" };
  return { color: typeof front === "number" ? `var(--rl-ansi-${front})` : css(front), background: "" };
}

/** The colour where it can be read on a background, else black or white. */
function readable(front: RGB, back: RGB): RGB {
  return contrast(front, back) >= READABLE ? front : readableOn(back);
}

function readableOn(back: RGB): RGB {
  const [black, white] = [PAINTS[0] as RGB, PAINTS[15] as RGB];
  return contrast(black, back) > contrast(white, back) ? black : white;
}

/** The contrast of two colours, as WCAG has it: from 1 to 21. */
export function contrast(one: RGB, other: RGB): number {
  const [lower = 0, higher = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (higher + 0.05) / (lower + 0.05);
}

function luminance(color: RGB): number {
  const [red = 0, green = 0, blue = 0] = color.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function rgb(color: Color): RGB {
  return typeof color === "number" ? (PAINTS[color] ?? [0, 0, 0]) : color;
}

function css(color: Color): string {
  return `rgb(${rgb(color).join(" ")})`;
}
