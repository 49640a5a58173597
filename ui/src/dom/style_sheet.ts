/**
 * Give the page the style sheet of a widget, unless it has it already. anywidget's own way replaces it with every widget
 * that opens, and the browser then styles all that there is anew.
 */
export function addStyleSheet(host: HTMLElement, name: string, sheet: string): void {
  const root = host.getRootNode();
  const place = root instanceof ShadowRoot ? root : host.ownerDocument.head;
  const known = place.querySelector<HTMLStyleElement>(`style[data-runloop-widget="${name}"]`);
  if (known?.textContent === sheet) return;
  const style = known ?? host.ownerDocument.createElement("style");
  style.dataset.runloopWidget = name;
  style.textContent = sheet;
  if (!known) place.append(style);
}
