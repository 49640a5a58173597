import { button, type Child, h } from "./elements";
import { focusedNear } from "./focus";

export interface Question {
  title: string;
  content: Child;
  /** The word on the button that says yes. */
  yes: string;
  destructive?: boolean;
}

/** Ask a question over `root`; only its button says yes. The focus goes back to where it was. */
export function confirm(root: HTMLElement, { title, content, yes, destructive = false }: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const no = button("Cancel", () => dialog.close());
    const kind = destructive ? "rl-danger" : "rl-primary";
    const accept = button(yes, () => dialog.close("yes"), { kind });
    const dialog = showDialog(root, title, [content, h("div", { class: "rl-dialog-end" }, no, accept)], (value) =>
      resolve(value === "yes"),
    );
    no.focus();
  });
}

/** Show a dialog over `root`; `onClose` gets the value that it was closed with, which is empty for Escape. */
export function showDialog(
  root: HTMLElement,
  title: string,
  content: Child,
  onClose: (value: string) => void,
): HTMLDialogElement {
  const before = focusedNear(root) as HTMLElement | null;
  const dialog = h("dialog", { class: "rl-dialog", "aria-label": title }, h("h2", {}, title), content);
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // keys are not the notebook's
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.({ preventScroll: true });
    onClose(dialog.returnValue);
  });
  root.append(dialog);
  dialog.showModal();
  return dialog;
}
