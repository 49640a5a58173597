import { button, type Child, h, nodes, text } from "../../dom/elements";
import { icon } from "../../dom/icons";
import { counted } from "../../format/words";
import type { Health } from "../../protocol/panel";
import type { ResourceKind } from "../kinds";
import type { Arrangement } from "./arrangement";

/** Why a table shows no row. */
export type Emptiness = "ended" | "filtered" | "failed" | "loading" | "none";

export interface EmptyEvents {
  onShowAll(): void;
  onCreate(): void;
  onInsert(code: string): void;
}

export function emptiness(arrangement: Arrangement, count: number, health: Health): Emptiness {
  if (health.loading) return "loading";
  if (count) return arrangement.status === null && !arrangement.search ? "ended" : "filtered";
  return health.error ? "failed" : "none";
}

/** What stands in place of rows: why there are none, and the first step. */
export class EmptyState {
  readonly element = h("div", { class: "rl-empty", hidden: true });
  private shown = "";

  constructor(private readonly events: EmptyEvents) {}

  update(kind: ResourceKind, arrangement: Arrangement, count: number, health: Health): void {
    this.element.hidden = arrangement.shown.length > 0;
    if (this.element.hidden) return;
    const why = emptiness(arrangement, count, health);
    const shown = [kind.name, why, count].join(" ");
    if (shown === this.shown) return;
    this.shown = shown;
    this.element.replaceChildren(...nodes(this.content(kind, why, count)));
  }

  private content({ spec }: ResourceKind, why: Emptiness, count: number): Child[] {
    const showAll = () => button("Show all", () => this.events.onShowAll());
    const create = () =>
      spec.create && button(spec.create, () => this.events.onCreate(), { shape: "plus", kind: "rl-primary rl-make" });
    const things = spec.title.toLowerCase();
    switch (why) {
      case "ended": {
        const ended = `No live ${spec.singular}. ${counted(count, spec.singular, spec.plural)} ended.`;
        return [h("p", {}, ended), h("div", { class: "rl-steps" }, showAll(), create())];
      }
      case "filtered":
        return [h("p", {}, "Nothing matches the search and the filter."), showAll()];
      case "failed":
        return [h("p", {}, `The ${things} could not be loaded.`)];
      case "loading":
        return [icon("spin", "info"), h("p", {}, `Loading ${things}…`)];
      case "none":
        return [this.firstStep(spec.empty), h("div", { class: "rl-steps" }, create(), this.insertButton(spec.empty))];
    }
  }

  private firstStep(sentence: string): HTMLElement {
    return h("p", {}, ...parts(sentence).map(({ code, content }) => (code ? h("code", {}, content) : text(content))));
  }

  private insertButton(sentence: string): Child {
    const code = parts(sentence).find((part) => part.code)?.content;
    return code && button("Insert this cell", () => this.events.onInsert(code), { shape: "insert" });
  }
}

/** A sentence in parts, of which those between backticks are code. */
export function parts(sentence: string): { code: boolean; content: string }[] {
  return sentence
    .split("`")
    .map((content, index) => ({ code: index % 2 === 1, content }))
    .filter(({ content }) => content);
}
