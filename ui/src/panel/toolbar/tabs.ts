import { h, text } from "../../dom/elements";
import { renew } from "../../dom/renew";
import { roving } from "../../dom/roving";
import { numbered } from "../../format/words";
import type { Store } from "../store";
import { liveCount } from "./filters";

/** A tab for each kind, with the number of its resources that have not ended. */
export class Tabs {
  readonly element = h("div", { class: "rl-tabs", role: "tablist", "aria-label": "Kinds of resources" });

  constructor(
    private readonly store: Store,
    private readonly panelId: string,
    private readonly choose: (kind: string) => void,
  ) {
    roving(this.element, "[role=tab]");
    const scroll = (event: WheelEvent) => {
      this.element.scrollLeft += event.deltaY;
    };
    this.element.addEventListener("wheel", scroll, { passive: true });
  }

  update(chosen: string): void {
    const names = [...this.store.kinds.keys()].filter((name) => this.store.tabs.includes(name));
    renew(
      this.element,
      names.map((name) => this.tab(name, name === chosen)),
    );
  }

  private tab(name: string, chosen: boolean): HTMLElement {
    const kind = this.store.kind(name);
    const live = liveCount(kind, this.store.table(name));
    const properties = {
      type: "button",
      role: "tab",
      class: "rl-tab",
      "aria-selected": String(chosen),
      "aria-controls": this.panelId,
      tabindex: chosen ? "0" : "-1",
      "data-key": name,
      onclick: () => this.choose(name),
    };
    const { loading } = this.store.healthOf(name);
    const count = live > 0 && h("span", { class: "rl-count" }, numbered(live, loading));
    return h("button", properties, text(kind.spec.title), count);
  }
}
