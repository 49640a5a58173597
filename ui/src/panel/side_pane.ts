import { button, h } from "../dom/elements";
import { focusedNear } from "../dom/focus";
import type { Action, FormOpened, Row } from "../protocol/panel";
import type { Context } from "./context";
import { DetailsPane } from "./details/details_pane";
import { FormPane } from "./forms/form_pane";
import type { Pane } from "./pane";

export interface SidePaneEvents {
  onAct(action: Action, rows: readonly Row[]): void;
  /** It has opened or closed. */
  onChange(): void;
}

/** The place beside the table, for details or a form: one at a time. */
export class SidePane {
  readonly element = h("div", { class: "rl-side", role: "group", hidden: true, "aria-label": "Details" });
  private pane: Pane | null = null;
  private before: HTMLElement | null = null;

  constructor(
    private readonly context: Context,
    private readonly events: SidePaneEvents,
    /** Gets the focus where the element that had it is gone. */
    private readonly otherwise: HTMLElement,
  ) {}

  get isOpen(): boolean {
    return this.pane !== null;
  }

  get details(): DetailsPane | null {
    return this.pane instanceof DetailsPane ? this.pane : null;
  }

  /** The details of this resource, if they are shown. */
  detailsOf(resource: { kind: string; id: string }): DetailsPane | null {
    return this.details?.isOf(resource) ? this.details : null;
  }

  /** The form with this name, if it is open. */
  formCalled(name: string): FormPane | null {
    return this.pane instanceof FormPane && this.pane.name === name ? this.pane : null;
  }

  openDetails(kind: string, id: string): void {
    if (this.detailsOf({ kind, id })) return;
    const { store } = this.context;
    const act = (action: Action, row: Row) => this.events.onAct(action, [row]);
    const pane = new DetailsPane(store.kind(kind), id, this.context, act);
    this.open(pane, store.nameOf(kind, id));
    pane.follow();
  }

  openForm(form: FormOpened): void {
    const pane = new FormPane(form, this.context, () => this.close());
    this.open(pane, form.title);
    pane.focus();
  }

  close(): void {
    if (!this.pane) return;
    const inside = this.element.contains(focusedNear(this.element));
    this.pane.close();
    this.pane = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    this.events.onChange();
    if (inside) (this.before?.isConnected ? this.before : this.otherwise).focus({ preventScroll: true });
  }

  private open(pane: Pane, title: string): void {
    if (this.pane) this.pane.close();
    else this.before = focusedNear(this.element) as HTMLElement | null;
    this.pane = pane;
    const close = button("", () => this.close(), { shape: "cross", kind: "rl-flat", title: "Close" });
    const head = h("div", { class: "rl-pane-head" }, h("h2", { title }, title), close);
    this.element.replaceChildren(head, pane.element);
    this.element.setAttribute("aria-label", title);
    this.element.hidden = false;
    this.events.onChange();
  }
}
