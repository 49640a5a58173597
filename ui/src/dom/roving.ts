/** Move the focus by the arrow keys among elements of which one at a time can be reached by Tab. */
export function roving(container: HTMLElement, selector: string, { vertical = false } = {}): void {
  const [back, forth] = vertical ? ["ArrowUp", "ArrowDown"] : ["ArrowLeft", "ArrowRight"];
  container.addEventListener("keydown", (event) => {
    const all = [...container.querySelectorAll<HTMLElement>(selector)].filter(canHaveFocus);
    const at = all.indexOf((event.target as Element).closest(selector) as HTMLElement);
    if (at < 0 || event.shiftKey || event.ctrlKey || event.metaKey) return;
    const to = { [back]: at - 1, [forth]: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    for (const each of all) each.tabIndex = each === next ? 0 : -1;
    next?.focus();
  });
}

function canHaveFocus(element: HTMLElement): boolean {
  return !(element as HTMLButtonElement).disabled && element.offsetParent !== null;
}
