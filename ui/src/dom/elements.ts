// Elements. Text from the service or a devbox goes into the page as text only: there is no innerHTML here.

import { type IconName, icon } from "./icons";

export type Child = Node | string | number | null | undefined | false | readonly Child[];
type Handler = ((event: never) => unknown) | null | undefined;
export type Properties = Record<string, string | number | boolean | null | undefined | Handler>;

/** An element. Properties that begin with "on" are listeners; null, undefined and false leave an attribute out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") (element as unknown as Record<string, unknown>)[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/** The nodes of an element's children. */
export function nodes(children: readonly Child[]): Node[] {
  return children.flatMap((child) => {
    if (Array.isArray(child)) return nodes(child);
    if (child instanceof Node) return [child];
    return child || child === 0 ? [document.createTextNode(String(child))] : [];
  });
}

export function text(...parts: Child[]): HTMLSpanElement {
  return h("span", {}, ...parts);
}

export interface ButtonOptions extends Properties {
  icon?: never;
  kind?: string;
  title?: string;
}

/** A button with an icon, a label or both; one without a label is called by its title. */
export function button(
  label: string,
  onclick: (event: MouseEvent) => unknown,
  { shape, kind = "", title, ...rest }: { shape?: IconName; kind?: string; title?: string } & Properties = {},
): HTMLButtonElement {
  const properties = { type: "button", class: `rl-button ${kind}`.trim(), onclick, title, ...rest };
  const named = label ? {} : { "aria-label": title };
  return h("button", { ...named, ...properties }, shape && icon(shape), label && text(label));
}

/** Make a text all that an element holds. A text that is there already is changed, which is cheaper than another. */
export function setText(element: Element, content: string): void {
  const { firstChild } = element;
  if (firstChild instanceof Text && firstChild === element.lastChild) {
    if (firstChild.data !== content) firstChild.data = content;
  } else if (firstChild || content) element.textContent = content;
}

export function setAttribute(element: Element, name: string, value: string | number | boolean | null): void {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}
