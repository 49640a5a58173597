import { copyButton } from "../../dom/clipboard";
import { button, h, text } from "../../dom/elements";
import type { Cell } from "../../protocol/panel";
import type { Context } from "../context";

/** A cell that does what the panel does, to insert or copy. */
export function snippet([label, code]: Cell, { insert, say }: Pick<Context, "insert" | "say">): HTMLElement {
  const title = `Insert a cell: ${label}`;
  const put = button("Insert", () => insert(code), { shape: "insert", kind: "rl-flat", "aria-label": title });
  const copy = copyButton(`Copy: ${label}`, () => code, say);
  const head = h("div", { class: "rl-snippet-head" }, text(label), put, copy);
  return h("div", { class: "rl-snippet" }, head, h("pre", { tabindex: "0", role: "group", "aria-label": label }, code));
}

/** The JSON of a resource, as the service sends it. */
export function rawJson(raw: string, say: (sentence: string) => void): HTMLElement {
  const content = h("pre", { tabindex: "0", role: "group", "aria-label": "Raw JSON" }, raw);
  return h(
    "div",
    { class: "rl-raw" },
    copyButton("Copy the JSON", () => raw, say),
    content,
  );
}
