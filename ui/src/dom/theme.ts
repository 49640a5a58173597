type Color = readonly [red: number, green: number, blue: number];

const WHITE: Color = [255, 255, 255];

/** Whose colours a widget takes: those of the front end's own variables, or ours for a light or a dark page. */
export type Palette = "jupyter" | "vscode" | "light" | "dark";

/** The colour behind an element's text. */
export function background(element: Element): Color {
  return toRgb(getComputedStyle(element).backgroundColor);
}

export function isDark([red, green, blue]: Color): boolean {
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}

/**
 * The palette for a page of which this is known; `text` tells the colour of its texts. `--jp-*` variables alone tell nothing: every widget manager but
 * JupyterLab's brings those of a light theme, whatever the page looks like.
 */
export function paletteOf(body: { jpThemeLight?: string; vscodeThemeKind?: string }, text: () => Color): Palette {
  if (body.vscodeThemeKind) return "vscode";
  if (body.jpThemeLight) return "jupyter";
  return isDark(text()) ? "light" : "dark";
}

/** Give the widgets in `host` the palette of their page, and follow it; the result ends that. */
export function followTheme(host: HTMLElement): () => void {
  const update = () => {
    // Of the page, since ipywidgets gives its own elements the colours of a light theme.
    host.dataset.rlPalette = paletteOf(document.body.dataset, () => toRgb(getComputedStyle(document.body).color));
  };
  update();
  return onTheme(update);
}

/** Call `changed` when the front end takes another theme; the result ends that. */
export function onTheme(changed: () => void): () => void {
  const soon = () => setTimeout(changed, 50);
  const theme = new MutationObserver(soon);
  const attributeFilter = ["class", "style", "theme", "data-theme", "data-jp-theme-light", "data-jp-theme-name"];
  for (const element of [document.documentElement, document.body])
    theme.observe(element, { attributes: true, attributeFilter: [...attributeFilter, "data-vscode-theme-kind"] });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", soon);
  return () => {
    theme.disconnect();
    system.removeEventListener("change", soon);
  };
}

/** What a computed colour is on the screen, whichever of CSS's ways it is written in. */
function toRgb(color: string): Color {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d");
  if (!context) return WHITE; // a browser that was told to have none
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0, alpha = 0] = context.getImageData(0, 0, 1, 1).data;
  return alpha ? [red, green, blue] : WHITE;
}
