import { Widget } from "@lumino/widgets";
import { h, setAttribute, setText, text } from "../dom/elements";
import { icon } from "../dom/icons";
import { statusLook } from "../format/statuses";
import { chipOf } from "./chip_text";
import type { NotebookLink } from "./notebook_link";

/** The notebook's current devbox and its status, in the toolbar; a press opens the panel. */
export class DevboxChip extends Widget {
  private readonly name = text();
  private readonly button: HTMLButtonElement;
  private shown = "";

  constructor(
    private readonly link: NotebookLink,
    openPanel: () => unknown,
  ) {
    super();
    this.addClass("rl-root");
    this.addClass("rl-devbox-chip");
    this.button = h("button", { type: "button", class: "rl-button", onclick: openPanel }, this.name);
    this.node.append(this.button);
    link.changed.connect(this.renew, this);
    this.renew();
  }

  override dispose(): void {
    this.link.changed.disconnect(this.renew, this);
    super.dispose();
  }

  private renew(): void {
    const { name, status, title } = chipOf(this.link.devbox);
    this.setHidden(this.link.state !== "loaded");
    setText(this.name, name);
    setAttribute(this.button, "title", title);
    setAttribute(this.button, "aria-label", title);
    if (status === this.shown && this.button.childElementCount > 1) return;
    this.shown = status;
    const look = statusLook(status);
    this.button.replaceChildren(icon(status ? look.shape : "ring", status ? look.tone : "quiet"), this.name);
  }
}
