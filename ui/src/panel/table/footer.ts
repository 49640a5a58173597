import { button, h, text } from "../../dom/elements";
import { renew } from "../../dom/renew";
import { counted } from "../../format/words";
import type { Action, Row } from "../../protocol/panel";
import { allows, labelFor } from "../actions";
import type { ResourceKind } from "../kinds";

export interface FooterContent {
  kind: ResourceKind;
  /** True while more rows are still to come. */
  loading: boolean;
  /** The number of rows that there are, and of those that are shown. */
  count: number;
  shown: number;
  selected: readonly Row[];
  /** How many of the selected are shown. */
  selectedShown: number;
  progress: readonly HTMLElement[];
}

export interface FooterEvents {
  onAct(action: Action, rows: readonly Row[]): void;
  onClear(): void;
}

/** Below the table: how much there is, or what can be done to what is selected. */
export class Footer {
  readonly element = h("div", { class: "rl-foot" });

  constructor(
    private readonly events: FooterEvents,
    /** Gets the focus where a button that has it goes. */
    private readonly otherwise: HTMLElement,
  ) {}

  update(content: FooterContent): void {
    const shown = content.selected.length ? this.selection(content) : this.summary(content);
    renew(this.element, shown, this.otherwise);
  }

  private summary({ kind: { spec }, loading, count, shown, progress }: FooterContent): HTMLElement[] {
    const all = counted(count, spec.singular, spec.plural) + (loading ? " so far" : "");
    const sentence = shown === count ? all : `${shown.toLocaleString()} of ${all}`;
    return [h("span", { class: "rl-quiet" }, sentence), ...progress];
  }

  private selection(content: FooterContent): HTMLElement[] {
    const { kind, selected, selectedShown } = content;
    const unseen = selected.length - selectedShown;
    const actions = kind.spec.actions.filter((action) => action.many);
    return [
      h("b", {}, `${selected.length.toLocaleString()} selected`),
      ...(unseen > 0 ? [text(`${unseen.toLocaleString()} of them not shown`)] : []),
      ...actions.map((action) => this.action(action, content)),
      h("span", { class: "rl-spring" }),
      button("Clear", () => this.events.onClear(), { kind: "rl-flat", "data-key": "clear" }),
    ];
  }

  private action(action: Action, { kind, selected }: FooterContent): HTMLElement {
    const fit = selected.filter((row) => allows(action, kind, row));
    return button(labelFor(action, fit.length, selected.length), () => this.events.onAct(action, fit), {
      kind: action.destructive ? "rl-destructive" : "",
      disabled: !fit.length,
      "data-action": action.name,
      "data-key": action.name,
    });
  }
}
