import { h } from "./elements";
import { roving } from "./roving";

export interface MenuEntry {
  label: string;
  act: () => void;
  /** Why it cannot be chosen now. */
  barred?: string;
  destructive?: boolean;
  /** A line above it. */
  apart?: boolean;
}

/** A place in the window, in pixels, such as the edges of a button. */
export type Place = Pick<DOMRect, "left" | "top" | "bottom">;

/** Show a menu at a place in the window; `after` is called once it is closed by the keyboard or by a choice. */
export function openMenu(root: HTMLElement, entries: readonly MenuEntry[], at: Place, after: () => void): void {
  const menu = h("div", { class: "rl-menu", role: "menu", "aria-label": "Actions", popover: "manual" });
  const away = (event: Event) => {
    if (!event.composedPath().includes(menu)) close(false); // the target alone is that of the document's own tree
  };
  const frame = root.getBoundingClientRect();
  const follow = () => {
    const { left, top } = root.getBoundingClientRect(); // what scrolls takes the menu along
    const [right, down] = [left - frame.left, top - frame.top];
    moveTo(menu, { left: at.left + right, top: at.top + down, bottom: at.bottom + down });
  };
  const close = (back: boolean) => {
    menu.remove();
    document.removeEventListener("pointerdown", away, true);
    document.removeEventListener("scroll", follow, true);
    if (back) after();
  };
  menu.append(...entries.flatMap((entry) => item(entry, () => close(true))));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" && event.key !== "Tab") return;
    event.preventDefault();
    event.stopPropagation();
    close(true);
  });
  roving(menu, ".rl-item", { vertical: true });
  root.append(menu);
  menu.showPopover(); // above all there is: no ancestor cuts it off
  moveTo(menu, at);
  document.addEventListener("pointerdown", away, true);
  document.addEventListener("scroll", follow, true);
  menu.querySelector<HTMLElement>(".rl-item:not([aria-disabled])")?.focus({ preventScroll: true });
}

function item({ label, act, barred, destructive, apart }: MenuEntry, close: () => void): HTMLElement[] {
  const choose = () => {
    if (barred) return;
    close();
    act();
  };
  const look = {
    type: "button",
    role: "menuitem",
    class: destructive ? "rl-item rl-destructive-item" : "rl-item",
    tabindex: "-1",
    "aria-disabled": barred ? "true" : null,
    title: barred,
    onclick: choose,
  };
  const line = h("div", { class: "rl-line", role: "separator" });
  return apart ? [line, h("button", look, label)] : [h("button", look, label)];
}

/** Below the place, or above it where there is more room. */
function moveTo(menu: HTMLElement, at: Place): void {
  const { offsetWidth, offsetHeight } = menu;
  const left = Math.min(at.left, window.innerWidth - offsetWidth - 8);
  const below = at.bottom + 2;
  const fits = below + offsetHeight <= window.innerHeight - 4;
  const top = fits ? below : Math.min(at.top - 2, window.innerHeight - 4) - offsetHeight;
  menu.style.left = `${Math.max(4, left)}px`;
  menu.style.top = `${Math.max(4, top)}px`;
}
