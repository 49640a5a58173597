import { h } from "../../dom/elements";
import { renew } from "../../dom/renew";

/** A part of the details that can be folded; it stays as it was folded while its content changes. */
export class Section {
  readonly element: HTMLDetailsElement;
  private readonly body = h("div");

  constructor(title: string, open = true) {
    this.element = h("details", { class: "rl-section", open, hidden: true }, h("summary", {}, title), this.body);
  }

  /** Show this; nothing at all where there is none. */
  update(content: readonly HTMLElement[]): void {
    this.element.hidden = content.length === 0;
    renew(this.body, content);
  }
}
