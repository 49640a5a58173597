import { button, type Child, h, text } from "../../dom/elements";
import { icon } from "../../dom/icons";
import { statusLook } from "../../format/statuses";

type Mark = { doing: string; error: string } | null;

/** The status of a row, or what is being done to it, or what went wrong. */
export function statusContent(status: string, mark: Mark, reason: string): Child[] {
  if (mark?.error) return [icon("warn", "bad"), h("span", { class: "rl-error-text" }, mark.error), dismissButton()];
  if (mark?.doing) return [icon("spin", "info"), text(`${mark.doing}…`)];
  const { shape, tone, label } = statusLook(status);
  const why = reason && h("span", { class: "rl-reason" }, reason);
  return [icon(shape, tone), h("span", { class: "rl-status" }, label), why];
}

/** The name of a row, where there is one; `mark` where no other column shows it. */
export function nameContent(name: string, id: string, current: boolean, mark: Mark): Child[] {
  const look = name ? "rl-name" : "rl-name rl-unnamed";
  const title = "The current devbox of this notebook";
  return [
    h("span", { class: look }, name || id),
    current && h("span", { class: "rl-badge", title }, "current"),
    mark && h("span", { class: "rl-note" }, statusContent("", mark, "")),
  ];
}

/** The grid sees to its clicks. */
function dismissButton(): HTMLButtonElement {
  const title = "Dismiss this message";
  return button("", () => {}, { shape: "cross", kind: "rl-dismiss", title, tabindex: "-1", onclick: null });
}
