import { isDark } from "../../dom/theme";
import type { Color, Style } from "./ansi";

/** The 16 colours where there is a background, in every theme. Without one the theme's own are used (console.css). */
const PAINTS: readonly (readonly [number, number, number])[] = [
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
    const color = front !== null ? css(front) : isDark(rgb(back)) ? "#fff" : "#000";
    return { color, background: css(back) };
  }
  if (front === null) return { color: "", background: "" };
  return { color: typeof front === "number" ? `var(--rl-ansi-${front})` : css(front), background: "" };
}

function rgb(color: Color): readonly [number, number, number] {
  return typeof color === "number" ? (PAINTS[color] ?? [0, 0, 0]) : color;
}

function css(color: Color): string {
  return `rgb(${rgb(color).join(" ")})`;
}
