type Color = readonly [red: number, green: number, blue: number];

/** The colour behind an element's text. */
export function background(element: Element): Color {
  const [red = 255, green = 255, blue = 255] = (getComputedStyle(element).backgroundColor.match(/[\d.]+/g) ?? []).map(
    Number,
  );
  return [red, green, blue];
}

export function isDark([red, green, blue]: Color): boolean {
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}

/** Call `changed` when the front end takes another theme; the result ends that. */
export function onTheme(changed: () => void): () => void {
  const theme = new MutationObserver(() => setTimeout(changed, 50));
  const attributeFilter = ["class", "data-jp-theme-name", "data-jp-theme-light"];
  theme.observe(document.body, { attributes: true, attributeFilter });
  return () => theme.disconnect();
}
