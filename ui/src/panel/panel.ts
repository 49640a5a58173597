import { type LineState, newId } from "../channel";
import { h } from "../dom/elements";
import type { Model } from "../model";
import type { Action, Kind, LinkReady, Mark, Request, Row } from "../protocol/panel";
import type { Context } from "./context";
import { showLink } from "./dialogs/link";
import { escapeTarget, isOurs } from "./keyboard";
import { idOf } from "./kinds";
import { LayoutState } from "./layout_state";
import { Status } from "./messages/status";
import { Toasts } from "./messages/toasts";
import { focusCell, insertOrCopy } from "./notebook";
import { SidePane } from "./side_pane";
import { type Change, Store } from "./store";
import { TableView } from "./table/table_view";
import { ToolFocus } from "./tool_focus";
import { ToolStrip } from "./tool_strip";
import { Tabs } from "./toolbar/tabs";
import { ObjectUploads } from "./uploads";

const NARROW = 640; // pixels
/** What is asked for while somebody only looks around. */
const BY_ITSELF: ReadonlySet<Request["op"]> = new Set(["want", "follow", "unfollow", "check_form"]);

/** One view of the panel. It is told what the kernel says and what the user does, and hands it on to its parts. */
export class Panel {
  readonly element = h("div", {
    class: "rl-root rl-panel",
    role: "group",
    "aria-label": "Runloop resources",
    "data-jp-suppress-context-menu": true,
  });
  private readonly body = h("div", { class: "rl-body", role: "tabpanel" });
  readonly store: Store;
  readonly context: Context;
  readonly table: TableView;
  readonly side: SidePane;
  readonly uploads: ObjectUploads;
  readonly status: Status;
  private readonly layout: LayoutState;
  private readonly tabs: Tabs;
  private readonly toasts = new Toasts();
  private readonly strip: ToolStrip;
  private readonly toolFocus = new ToolFocus(this.element);
  private readonly sizes = new ResizeObserver(() => this.fit());
  private readonly ticker = setInterval(() => this.tick(), 1000);
  private readonly changed = new Set<string>();
  private frame: number | null = null;
  private visible = true;

  constructor(
    private readonly model: Model,
    private readonly host: HTMLElement,
    send: (request: Request) => void,
  ) {
    this.store = new Store(model.get("kinds") as Kind[]);
    this.layout = new LayoutState(model);
    const say = (sentence: string, error?: boolean) => this.toasts.show(sentence, error);
    const insert = (code: string) => void insertOrCopy(this.model, this.store.model, code).then(say);
    const over = () => this.status.over;
    const sendOrSay = (request: Request) => {
      if (!over()) send(request);
      else if (!BY_ITSELF.has(request.op)) say(over(), true);
    };
    this.context = { store: this.store, root: this.element, send: sendOrSay, over, say, insert };
    this.uploads = new ObjectUploads(this.context, () => this.table.updateFooter());
    this.table = this.newTable();
    const sideEvents = { onAct: this.act.bind(this), onChange: () => this.paneChanged() };
    this.side = new SidePane(this.context, sideEvents, this.table.grid.element);
    this.strip = new ToolStrip(this.context, this.table.grid.element);
    this.status = new Status(this.store, model.get("notice") as string, () => sendOrSay({ op: "retry" }));
    const body = `rl-${newId()}`;
    this.tabs = new Tabs(this.store, body, (kind) => this.switchTo(kind));
    this.build(body);
    this.listen();
    Object.assign(this.element, { runloop: this }); // for whoever looks into the page
  }

  /** The kinds that the view shows. */
  get wanted(): readonly string[] {
    return [this.table.kind.name, ...this.table.kind.spec.needs];
  }

  close(): void {
    clearInterval(this.ticker);
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.sizes.disconnect();
    this.table.close();
    this.uploads.close();
    this.host.replaceChildren(); // a front end may keep its element: not with all that is in it
  }

  showAll(): void {
    this.showTabs();
    this.showHealth();
    this.strip.update();
    this.table.grid.redecorate();
  }

  showTabs(): void {
    this.tabs.update(this.table.kind.name);
  }

  showHealth(): void {
    const health = this.store.healthOf(this.table.kind.name);
    this.status.update(health);
    this.table.update();
  }

  showLine(state: LineState, text: string): void {
    this.status.showLine(state, text);
    this.element.classList.toggle("rl-over", this.status.over !== "");
    this.showHealth();
  }

  setVisible(visible: boolean): void {
    this.visible = visible;
    if (visible) this.table.grid.redecorate();
  }

  /** Rows changed. Several changes are painted at once. */
  rowsChanged(kind: string, change: Change): void {
    this.table.take(kind, change);
    this.changed.add(kind);
    this.frame ??= requestAnimationFrame(() => this.paint());
  }

  /** Show what has come without waiting for the next frame. */
  showChanges(): void {
    if (this.frame === null) return;
    cancelAnimationFrame(this.frame);
    this.paint();
  }

  marksChanged(marks: readonly Mark[]): void {
    this.table.grid.redecorate();
    this.side.details?.refresh();
    const [failed, ...others] = marks.filter(([, , , error]) => error);
    if (!failed) return;
    const [kind, id, , error] = failed;
    const more = others.length ? ` And ${others.length.toLocaleString()} more failed: each row says why.` : "";
    this.context.say(`${this.store.nameOf(kind, id)}: ${error}${more}`, true);
  }

  toolsChanged(): void {
    this.strip.update();
    this.toolFocus.opened(this.store.tool);
  }

  switchTo(kind: string): void {
    if (kind === this.table.kind.name) return;
    this.side.close();
    this.table.show(this.store.kind(kind));
    this.layout.tab = kind;
    this.showTabs();
    this.showHealth();
    this.context.send({ op: "want", kinds: this.wanted });
  }

  showLink(link: LinkReady): void {
    showLink(this.element, link, this.context.say);
  }

  private newTable(): TableView {
    const { context, layout } = this;
    const kind = this.store.kinds.get(layout.tab) ?? this.store.kind("devbox");
    const isOpen = (id: string) => this.side.details?.id === id;
    const progress = () => this.uploads.elements();
    return new TableView({
      ...{ context, layout, kind, isOpen, progress },
      events: {
        onAct: (action, rows) => this.act(action, rows),
        onCreate: () => this.create(),
        onOpen: (row) => this.side.openDetails(this.table.kind.name, idOf(row)),
        onMove: (row) => this.side.details && this.side.openDetails(this.table.kind.name, idOf(row)),
        onSpeak: (sentence) => this.toasts.speak(sentence),
        onHeight: (height) => this.setHeight(height),
      },
    });
  }

  private build(bodyId: string): void {
    const { toolbar, footer, element } = this.table;
    const { body } = this;
    body.id = bodyId;
    body.append(element, this.side.element);
    const top = h("div", { class: "rl-top" }, this.tabs.element, this.status.live.element);
    const below = [footer.element, this.strip.element, this.toasts.element, this.toasts.spoken, this.uploads.picker];
    this.element.append(top, toolbar.element, ...this.status.banners, body, ...below);
    this.host.replaceChildren(this.element);
    this.uploads.takeDrops(body, () => this.table.kind.spec.uploads && !this.status.over);
    this.table.show(this.table.kind);
    this.showAll();
  }

  private listen(): void {
    this.element.addEventListener("keydown", (event) => this.key(event));
    const keepToItself = (event: globalThis.Event) => event.stopPropagation();
    for (const type of ["keypress", "keyup", "paste", "copy"]) this.element.addEventListener(type, keepToItself);
    this.sizes.observe(this.element);
  }

  private paint(): void {
    this.frame = null;
    if (this.wanted.some((kind) => this.changed.has(kind))) {
      this.table.refresh();
      this.side.details?.refresh();
    }
    this.changed.clear();
    this.showTabs();
    this.status.update(this.store.healthOf(this.table.kind.name));
  }

  private tick(): void {
    this.store.fade();
    if (!this.status.isLost && this.visible) this.table.grid.tick();
    if (!this.status.isLost) this.side.details?.tick();
    this.showHealth();
  }

  private fit(): void {
    this.element.classList.toggle("rl-narrow", this.element.clientWidth < NARROW);
    this.table.grid.fit();
  }

  /** The table is as high as its rows. */
  private setHeight(height: number): void {
    this.body.style.setProperty("--rl-need", `${height}px`);
    this.body.classList.toggle("rl-blank", height === 0);
  }

  /** At once: rows that were laid out anew a moment later would lose the next click. */
  private paneChanged(): void {
    this.element.classList.toggle("rl-with-side", this.side.isOpen);
    this.fit();
    this.table.grid.redecorate();
  }

  private act(action: Action, rows: readonly Row[]): void {
    const ids = rows.map(idOf);
    if (!ids.length) return;
    this.toolFocus.want(action.name, ids[0]);
    this.context.send({ op: "act", kind: this.table.kind.name, action: action.name, ids });
  }

  private create(): void {
    const { name, uploads } = this.table.kind.spec;
    if (uploads) this.uploads.choose();
    else this.context.send({ op: "open_form", kind: name });
  }

  private key(event: KeyboardEvent): void {
    if (isOurs(event)) event.stopPropagation();
    if (event.key !== "Escape") return;
    const { search } = this.table.toolbar;
    const target = escapeTarget({
      menuOrDialog: this.element.querySelector(".rl-menu, dialog[open]") !== null,
      searchText: event.target === search && search.value !== "",
      pane: this.side.isOpen,
      selection: this.table.selection.size > 0,
    });
    if (target === "nothing") return;
    event.preventDefault();
    if (target === "search") this.table.clearSearch();
    else if (target === "pane") this.side.close();
    else if (target === "selection") this.table.selection.set([]);
    else focusCell(this.element);
  }
}
