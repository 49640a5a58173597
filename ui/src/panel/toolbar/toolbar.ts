import { button, h, text } from "../../dom/elements";
import { icon } from "../../dom/icons";
import { renew } from "../../dom/renew";
import { statusLook } from "../../format/statuses";
import type { ResourceKind } from "../kinds";
import type { Filter } from "./filters";

export interface ToolbarEvents {
  /** Somebody is about to search. */
  onSearchFocus(): void;
  onSearch(text: string): void;
  onFilter(status: string | null): void;
  onPrune(): void;
  onCreate(): void;
}

/** Above the table: the search, the filters, and what makes or prunes resources of the kind. */
export class Toolbar {
  readonly search: HTMLInputElement;
  readonly element: HTMLElement;
  private readonly chips = h("div", { class: "rl-chips", role: "group", "aria-label": "Filter by status" });
  private readonly prune: HTMLButtonElement;
  private readonly create: HTMLButtonElement;
  private shown = "";

  constructor(private readonly events: ToolbarEvents) {
    const listeners = { oninput: () => events.onSearch(this.search.value), onfocus: () => events.onSearchFocus() };
    this.search = h("input", { type: "search", class: "rl-search-input", "aria-label": "Search", ...listeners });
    const why = "Delete what is of no more use, after a question";
    this.prune = button("Prune…", () => events.onPrune(), { kind: "rl-flat rl-prune", title: why });
    this.create = button("New", () => events.onCreate(), { shape: "plus", kind: "rl-primary rl-make" });
    this.element = h(
      "div",
      { class: "rl-bar" },
      h("div", { class: "rl-search" }, icon("search"), this.search),
      this.chips,
      h("div", { class: "rl-bar-end" }, this.prune, this.create),
    );
  }

  /** Show what another kind offers. */
  show({ spec }: ResourceKind, searched: string): void {
    this.search.value = searched;
    this.search.placeholder = `Search ${spec.title.toLowerCase()}`;
    this.create.hidden = !spec.create;
    this.create.replaceChildren(icon("plus"), text(spec.create));
    this.create.setAttribute("aria-label", spec.create);
    this.create.title = spec.create;
    this.prune.hidden = !spec.prunes;
  }

  showFilters(filters: readonly Filter[], chosen: string | null): void {
    const shown = JSON.stringify([filters, chosen]);
    if (shown === this.shown) return;
    this.shown = shown;
    renew(
      this.chips,
      filters.map((filter) => this.chip(filter, filter.status === chosen)),
    );
  }

  private chip({ status, label, count }: Filter, chosen: boolean): HTMLElement {
    const look = status ? statusLook(status) : null;
    const properties = {
      type: "button",
      class: "rl-chip",
      "data-key": `status ${status}`,
      "aria-pressed": String(chosen),
      onclick: () => this.events.onFilter(status),
    };
    const number = h("span", { class: "rl-count" }, count);
    return h("button", properties, look && icon(look.shape, look.tone), text(label), number);
  }
}
