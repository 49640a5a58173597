import { setAttribute } from "./elements";
import { focusedNear } from "./focus";

type Renewable = HTMLElement | SVGElement | Text;

/**
 * Make `parent` have these children, and keep the elements that it has: by `data-key`, else by their place. The browser
 * forgets a press, and the focus, of an element that leaves the page for a moment. If the focused one is not wanted any
 * more, `otherwise` gets the focus.
 */
export function renew(parent: Element, children: readonly Node[], otherwise: HTMLElement | null = null): void {
  const focused = otherwise !== null && parent.contains(focusedNear(parent));
  const keys = new Set(children.map(key));
  for (const child of [...parent.children]) if (key(child) && !keys.has(key(child))) child.remove();
  const kept = new Map([...parent.children].map((child) => [key(child), child]));
  let at: ChildNode | null = parent.firstChild;
  for (const child of children) {
    const old = key(child) ? kept.get(key(child)) : at && !key(at) && at.nodeName === child.nodeName ? at : null;
    if (old) become(old as Renewable, child as Renewable);
    if (old && old === at) at = at.nextSibling;
    else parent.insertBefore(old ?? child, at);
  }
  while (at) {
    const after: ChildNode | null = at.nextSibling;
    at.remove();
    at = after;
  }
  if (focused && !parent.contains(focusedNear(parent))) otherwise.focus({ preventScroll: true });
}

function key(node: Node): string | undefined {
  return (node as Partial<HTMLElement>).dataset?.key;
}

function become(old: Renewable, fresh: Renewable): void {
  if (old instanceof Text || fresh instanceof Text) {
    if (old instanceof Text && fresh instanceof Text && old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) setAttribute(old, name, value);
  old.onclick = fresh.onclick;
  renew(old, [...fresh.childNodes]);
}
