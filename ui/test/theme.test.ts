import { expect, test } from "vitest";
import { paletteOf } from "../src/dom/theme";

const BLACK = [0, 0, 0] as const;
const WHITE = [255, 255, 255] as const;

test.each([
  ["JupyterLab and Notebook 7 say what they look like", { jpThemeLight: "false" }, WHITE, "jupyter"],
  ["their variables are taken in a light theme, too", { jpThemeLight: "true" }, BLACK, "jupyter"],
  ["so does VS Code", { vscodeThemeKind: "vscode-dark" }, WHITE, "vscode"],
  [
    "and its word counts where both are told",
    { vscodeThemeKind: "vscode-light", jpThemeLight: "true" },
    BLACK,
    "vscode",
  ],
  ["a page with light text is dark", {}, WHITE, "dark"],
  ["a page with dark text is light", {}, BLACK, "light"],
])("%s", (_, body, text, palette) => {
  expect(paletteOf(body, () => text)).toBe(palette);
});
