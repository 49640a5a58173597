import { describe, expect, it } from "vitest";
import { applySgr, PLAIN, parseAnsi, type Style } from "../../src/tools/console/ansi";
import { contrast, cssColors } from "../../src/tools/console/ansi_colors";

const style = (changes: Partial<Style>): Style => ({ ...PLAIN, ...changes });
const flags = (...names: string[]) => style({ flags: new Set(names) as Style["flags"] });

describe("a sequence changes the style", () => {
  it.each<[string, Style, string, Style]>([
    ["a colour", PLAIN, "31", style({ foreground: 1 })],
    ["a bright colour", PLAIN, "92", style({ foreground: 10 })],
    ["a background", PLAIN, "44", style({ background: 4 })],
    ["a bright background", PLAIN, "107", style({ background: 15 })],
    ["several at once", PLAIN, "1;4;33", style({ foreground: 3, flags: new Set(["bold", "underline"]) })],
    ["one of 256 colours, from the theme", PLAIN, "38;5;9", style({ foreground: 9 })],
    ["one of 256 colours, from the cube", PLAIN, "38;5;196", style({ foreground: [255, 0, 0] })],
    ["one of 256 colours, a grey", PLAIN, "48;5;232", style({ background: [8, 8, 8] })],
    ["red, green and blue", PLAIN, "38;2;1;2;300", style({ foreground: [1, 2, 44] })],
    ["what follows a colour", PLAIN, "38;2;1;2;3;1", style({ foreground: [1, 2, 3], flags: new Set(["bold"]) })],
    ["colons", PLAIN, "38:5:196", style({ foreground: [255, 0, 0] })],
    ["colons with a colour space", PLAIN, "38:2::1:2:3", style({ foreground: [1, 2, 3] })],
    ["colons without one", PLAIN, "48:2:1:2:3", style({ background: [1, 2, 3] })],
    ["a curly underline", PLAIN, "4:3", flags("underline")],
    ["no underline", flags("underline", "bold"), "4:0", flags("bold")],
    ["neither bold nor faint", flags("bold", "faint", "italic"), "22", flags("italic")],
    ["the own colour again", style({ foreground: 1, background: 2 }), "39", style({ background: 2 })],
    ["the own background again", style({ foreground: 1, background: 2 }), "49", style({ foreground: 1 })],
    ["all over", style({ foreground: 1, flags: new Set(["bold"]) }), "0", PLAIN],
    ["nothing means all over", style({ foreground: 1 }), "", PLAIN],
    ["a code that nobody knows", PLAIN, "51", PLAIN],
    ["half a colour", PLAIN, "38", PLAIN],
  ])("%s", (_, before, parameters, after) => {
    expect(applySgr(before, parameters)).toEqual(after);
  });
});

it("a text is divided where its style changes, and the last style goes on", () => {
  const { spans, style: last } = parseAnsi("a\x1b[31mb\x1b[0m\x1b[1mc", PLAIN);
  expect(spans.map(({ text }) => text)).toEqual(["a", "b", "c"]);
  expect(spans[1]?.style.foreground).toBe(1);
  expect(last).toEqual(flags("bold"));
});

describe("colours", () => {
  it.each<[string, Style, { color: string; background: string }]>([
    ["none", PLAIN, { color: "", background: "" }],
    ["the theme's", style({ foreground: 1 }), { color: "var(--rl-ansi-1)", background: "" }],
    ["an own one", style({ foreground: [1, 2, 3] }), { color: "rgb(1 2 3)", background: "" }],
    ["on light", style({ background: 15 }), { color: "rgb(0 0 0)", background: "rgb(255 255 255)" }],
    ["on dark", style({ background: 0 }), { color: "rgb(255 255 255)", background: "rgb(0 0 0)" }],
    ["both", style({ foreground: 9, background: 0 }), { color: "rgb(229 57 53)", background: "rgb(0 0 0)" }],
    [
      "one that cannot be read on the other",
      style({ foreground: 7, background: 3 }),
      { color: "rgb(0 0 0)", background: "rgb(217 217 16)" },
    ],
    [
      "inverse",
      style({ foreground: 15, flags: new Set(["inverse"]) }),
      { color: "rgb(0 0 0)", background: "rgb(255 255 255)" },
    ],
    ["inverse of the own colours", flags("inverse"), { color: "", background: "" }],
  ])("%s", (_, before, after) => {
    expect(cssColors(before)).toEqual(after);
  });
});

it.each([
  [[0, 0, 0], [255, 255, 255], 21],
  [[255, 255, 255], [255, 255, 255], 1],
  [[118, 118, 118], [255, 255, 255], 4.54],
] as const)("the contrast of %o and %o is %d", (one, other, expected) => {
  expect(contrast(one, other)).toBeCloseTo(expected, 2);
});

it("text can be read on each of the 16 backgrounds", () => {
  for (let background = 0; background < 16; background++) {
    const shown = cssColors(style({ background }));
    const [text, ground] = [shown.color, shown.background].map((each) => (each.match(/\d+/g) ?? []).map(Number));
    expect(contrast(text as never, ground as never)).toBeGreaterThan(4.5);
  }
});
