import { button, h } from "../dom/elements";

/** What can stand beside the table. */
export interface Pane {
  readonly element: HTMLElement;
  /** Called when it goes. */
  close(): void;
}

/** The place beside the table, for details or a form: one at a time. */
export class SidePane {
  readonly element = h("div", { class: "rl-side", role: "group", hidden: true, "aria-label": "Details" });
  pane: Pane | null = null;
  private before: HTMLElement | null = null;

  constructor(
    /** Called when it opens or closes, once it did. */
    private readonly changed: () => void,
    /** Gets the focus where the element that had it is gone. */
    private readonly otherwise: HTMLElement,
  ) {}

  open(pane: Pane, title: string): void {
    if (this.pane) this.pane.close();
    else this.before = document.activeElement as HTMLElement | null;
    this.pane = pane;
    const close = button("", () => this.close(), { shape: "cross", kind: "rl-flat", title: "Close" });
    const head = h("div", { class: "rl-pane-head" }, h("h2", { title }, title), close);
    this.element.replaceChildren(head, pane.element);
    this.element.setAttribute("aria-label", title);
    this.element.hidden = false;
    this.changed();
  }

  close(): void {
    if (!this.pane) return;
    const inside = this.element.contains(document.activeElement);
    this.pane.close();
    this.pane = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    this.changed();
    if (inside) (this.before?.isConnected ? this.before : this.otherwise).focus({ preventScroll: true });
  }
}
