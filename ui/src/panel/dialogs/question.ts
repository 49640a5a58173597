import { confirm } from "../../dom/dialog";
import { type Child, h, text } from "../../dom/elements";
import { statusLook } from "../../format/statuses";
import type { Confirm, Doomed } from "../../protocol/panel";

/** Ask the kernel's question; the answer is no unless somebody says yes. */
export function ask(root: HTMLElement, { title, text: about, items, more, yes }: Confirm): Promise<boolean> {
  const list = h(
    "ul",
    { class: "rl-doomed", tabindex: "0", "aria-label": "What it is about" },
    items.map(item),
    more > 0 && h("li", {}, `and ${more.toLocaleString()} more`),
  );
  return confirm(root, { title, content: [about && h("p", {}, about), list], yes, destructive: true });
}

function item([name, id, status]: Doomed): Child {
  return h("li", {}, h("b", {}, name), name !== id && h("code", {}, id), status && text(statusLook(status).label));
}
