import { button, h, setText, text } from "../../dom/elements";
import { icon } from "../../dom/icons";

const AT_ONCE = 3;

/** Sentences that stand over the table for a while; the same are read aloud. */
export class Toasts {
  readonly element = h("div", { class: "rl-toasts" });
  /** What screen readers say. */
  readonly spoken = h("div", { class: "rl-hidden", role: "status", "aria-live": "polite" });

  show(sentence: string, error = false): void {
    setText(this.spoken, "");
    this.speak(sentence);
    const dismiss = button("", () => toast.remove(), { shape: "cross", kind: "rl-flat", title: "Dismiss" });
    const look = error ? icon("warn", "bad") : icon("tick", "ok");
    const toast = h("div", { class: error ? "rl-toast rl-toast-error" : "rl-toast" }, look, text(sentence), dismiss);
    this.element.append(toast);
    while (this.element.children.length > AT_ONCE) this.element.firstChild?.remove();
    setTimeout(() => toast.remove(), error ? 12_000 : 5_000);
  }

  speak(sentence: string): void {
    setText(this.spoken, sentence);
  }
}
