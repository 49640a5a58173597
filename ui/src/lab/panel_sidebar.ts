import { OutputAreaModel, SimplifiedOutputArea } from "@jupyterlab/outputarea";
import { LabIcon } from "@jupyterlab/ui-components";
import { Panel, Widget } from "@lumino/widgets";
import { button, h } from "../dom/elements";
import { type Advice, advice } from "./link_state";
import type { NotebookLink } from "./notebook_link";
import type { NotebookLinks } from "./notebook_links";

export const runloopIcon = new LabIcon({
  name: "runloop-jupyter:panel",
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16"><path class="jp-icon3 jp-icon-selectable" ' +
    'fill="#616161" d="M2 2.5h12a.8.8 0 0 1 .8.8v3.4a.8.8 0 0 1-.8.8H2a.8.8 0 0 1-.8-.8V3.3a.8.8 0 0 1 .8-.8zm1.5 1.7v1.6' +
    "h1.6V4.2zM2 8.5h12a.8.8 0 0 1 .8.8v3.4a.8.8 0 0 1-.8.8H2a.8.8 0 0 1-.8-.8V9.3a.8.8 0 0 1 .8-.8zm1.5 1.7v1.6h1.6v-1.6" +
    'z"/></svg>',
});

/** The panel of the notebook that is in use, at the side of the page. */
export class PanelSidebar extends Panel {
  private readonly areas = new Map<NotebookLink, { data: unknown; area: Widget }>();
  private readonly message = new Message();
  private link: NotebookLink | null = null;

  constructor(private readonly links: NotebookLinks) {
    super();
    this.id = "runloop-panel";
    this.addClass("rl-sidebar");
    this.title.icon = runloopIcon as unknown as NonNullable<typeof this.title.icon>;
    this.title.caption = "Runloop panel";
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", "Runloop panel");
    this.addWidget(this.message);
    links.onCurrent(() => this.follow());
    this.follow();
  }

  protected override onAfterShow(): void {
    this.follow();
  }

  /** Show the notebook that is in use now. */
  private follow(): void {
    const link = this.links.current;
    if (link !== this.link) {
      this.link?.changed.disconnect(this.render, this);
      this.link = link;
      link?.changed.connect(this.render, this);
      link?.notebook.disposed.connect(this.forget, this);
    }
    this.render();
  }

  private render(): void {
    const { link } = this;
    if (link && this.isVisible && !link.problem) link.showPanel();
    if (link) this.renewArea(link);
    const shown = link && this.areas.get(link)?.area;
    for (const { area } of this.areas.values()) area.setHidden(area !== shown);
    this.message.setHidden(Boolean(shown));
    if (!shown) this.message.say(advice(link), () => this.act());
  }

  /** Make a notebook's view of the panel, or take away one of a panel that is no more. */
  private renewArea(link: NotebookLink): void {
    if (this.areas.get(link)?.data === (link.panel ?? undefined)) return;
    this.drop(link);
    if (!link.panel) return;
    const model = new OutputAreaModel({ trusted: true });
    const area = new SimplifiedOutputArea({ model, rendermime: link.notebook.content.rendermime });
    this.areas.set(link, { data: link.panel, area });
    this.addWidget(area);
    model.add({ output_type: "display_data", data: link.panel, metadata: {} });
    if (link.greeting) model.add({ output_type: "stream", name: "stdout", text: link.greeting });
  }

  private forget(notebook: Widget): void {
    for (const link of this.areas.keys()) if (link.notebook === notebook) this.drop(link);
  }

  private drop(link: NotebookLink): void {
    this.areas.get(link)?.area.dispose();
    this.areas.delete(link);
  }

  private act(): void {
    if (this.link?.state === "loaded") this.link.showPanel();
    else void this.link?.load();
  }
}

/** A sentence in place of the panel: what is missing, and what to do. */
class Message extends Widget {
  private shown = "";

  constructor() {
    super();
    this.addClass("rl-root");
    this.addClass("rl-sidebar-message");
    this.node.setAttribute("role", "status");
  }

  say(told: Advice, act: () => void): void {
    const key = JSON.stringify(told);
    if (key === this.shown) return;
    this.shown = key;
    this.node.replaceChildren(
      h("p", {}, told.text),
      ...(told.code ? [h("code", {}, told.code)] : []),
      ...(told.button ? [button(told.button, act, { kind: "rl-primary" })] : []),
    );
  }
}
