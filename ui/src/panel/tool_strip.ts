import { h } from "../dom/elements";
import { icon } from "../dom/icons";
import { renew } from "../dom/renew";
import type { OpenTool } from "../protocol/panel";
import type { Context } from "./context";

/** The tools that are open below the panel: one is shown at a time. */
export class ToolStrip {
  readonly element = h("div", { class: "rl-strip", role: "group", "aria-label": "Open tools", hidden: true });

  constructor(
    private readonly context: Context,
    /** Gets the focus where a button that has it goes. */
    private readonly otherwise: HTMLElement,
  ) {}

  update(): void {
    const { tools } = this.context.store;
    this.element.hidden = !tools.length;
    renew(
      this.element,
      tools.map((tool) => this.tool(tool)),
      this.otherwise,
    );
  }

  private tool([key, title]: OpenTool): HTMLElement {
    const { store, send } = this.context;
    const isShown = key === store.tool;
    const show = {
      type: "button",
      class: "rl-tool-title",
      "aria-pressed": String(isShown),
      onclick: () => send({ op: "show_tool", key: isShown ? "" : key }),
    };
    const label = `Close ${title}`;
    const onclick = () => send({ op: "close_tool", key });
    const close = { type: "button", class: "rl-tool-close", title: label, "aria-label": label, onclick };
    return h(
      "span",
      { class: "rl-strip-tool", "data-key": key },
      h("button", show, title),
      h("button", close, icon("cross")),
    );
  }
}
