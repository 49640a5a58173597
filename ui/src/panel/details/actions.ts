import { button, h } from "../../dom/elements";
import { type MenuEntry, openMenu } from "../../dom/menu";
import { renew } from "../../dom/renew";
import type { Action, Row } from "../../protocol/panel";
import { byFrequency } from "../actions";
import type { ResourceKind } from "../kinds";

/** What can be done to the resource whose details are shown: what is done most, and a menu of the rest. */
export class DetailActions {
  readonly element = h("div", { class: "rl-detail-actions" });

  constructor(
    private readonly root: HTMLElement,
    private readonly kind: ResourceKind,
    private readonly act: (action: Action, row: Row) => void,
    /** Gets the focus where a button that has it goes. */
    private readonly otherwise: HTMLElement,
  ) {}

  update(row: Row | undefined, problem: string): void {
    const shown = row ? this.buttons(row) : [h("p", { class: "rl-quiet" }, "It is gone.")];
    if (problem) shown.push(h("p", { class: "rl-form-problem" }, problem));
    renew(this.element, shown, this.otherwise);
  }

  private buttons(row: Row): HTMLElement[] {
    const { primary, more } = byFrequency(this.kind, row);
    const buttons = primary.map((action, at) => this.button(action, row, at === 0 && more.length > 0));
    return more.length ? [...buttons, this.moreButton(more, row)] : buttons;
  }

  private button(action: Action, row: Row, first: boolean): HTMLElement {
    const kind = action.destructive ? "rl-destructive" : first ? "rl-primary" : "";
    const data = { "data-action": action.name, "data-key": action.name };
    return button(action.label, () => this.act(action, row), { kind, ...data });
  }

  private moreButton(actions: readonly Action[], row: Row): HTMLElement {
    const entries = actions.map(({ label, destructive, ...action }, at): MenuEntry => {
      const act = () => this.act({ label, destructive, ...action }, row);
      return { label, act, destructive, apart: destructive && at > 0 };
    });
    const open = ({ currentTarget }: MouseEvent) => {
      const pressed = currentTarget as HTMLElement;
      openMenu(this.root, entries, pressed.getBoundingClientRect(), () => pressed.focus({ preventScroll: true }));
    };
    return button("More", open, { shape: "more", "aria-haspopup": "menu", "data-key": "more" });
  }
}
