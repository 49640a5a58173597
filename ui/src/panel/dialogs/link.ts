import { copyButton } from "../../dom/clipboard";
import { showDialog } from "../../dom/dialog";
import { button, type Child, h, text } from "../../dom/elements";
import { icon } from "../../dom/icons";
import type { LinkReady } from "../../protocol/panel";

type Say = (sentence: string) => void;

/** Show a link to copy or open, with the token that it needs. */
export function showLink(root: HTMLElement, { title, url, token }: LinkReady, say: Say): void {
  const href = /^https?:/.test(url) ? url : null;
  const properties = { class: "rl-button rl-primary", href, target: "_blank", rel: "noopener noreferrer" };
  const open = h("a", properties, icon("link"), text("Open"));
  const close = button("Close", () => dialog.close());
  const content = [
    copyLine(url, url, "Copy the link", say),
    token && tokenPart(token, say),
    h("div", { class: "rl-dialog-end" }, close, open),
  ];
  const dialog = showDialog(root, title, content, () => {});
  (href ? open : close).focus();
}

function tokenPart(token: string, say: Say): Child {
  const use = "Whoever connects sends this token in the header X-Runloop-Tunnel-Authorization, after Bearer.";
  return [h("p", {}, use), copyLine("•".repeat(24), token, "Copy the token", say)];
}

function copyLine(shown: string, copied: string, label: string, say: Say): HTMLElement {
  return h(
    "div",
    { class: "rl-copyline" },
    h("code", {}, shown),
    copyButton(label, () => copied, say),
  );
}
