import { h } from "../../dom/elements";
import type { Action, Details, DetailsFailed, Fact, LogAdded, Row } from "../../protocol/panel";
import type { Context } from "../context";
import type { ResourceKind } from "../kinds";
import type { Pane } from "../pane";
import { DetailActions } from "./actions";
import { BuildLog } from "./build_log";
import { factList } from "./facts";
import { History } from "./history";
import { Section } from "./section";
import { rawJson, snippet } from "./snippets";

/** Everything about one resource, which the kernel keeps up to date from `follow` to `close`. */
export class DetailsPane implements Pane {
  readonly element = h("div", { class: "rl-pane-body", tabindex: "-1" });
  private readonly actions: DetailActions;
  private readonly log = new BuildLog();
  private readonly notice = h("p", { class: "rl-quiet" }, "Loading…");
  private readonly history: History;
  private readonly sections = {
    details: new Section("Details"),
    history: new Section("History"),
    metadata: new Section("Metadata"),
    cells: new Section("Cells that do this"),
    raw: new Section("Raw JSON", false),
  };
  private shown = "";

  constructor(
    readonly kind: ResourceKind,
    readonly id: string,
    private readonly context: Context,
    act: (action: Action, row: Row) => void,
  ) {
    this.history = new History(kind);
    this.actions = new DetailActions(context.root, kind, act, this.element);
    const sections = Object.values(this.sections).map(({ element }) => element);
    this.element.append(this.actions.element, this.log.element, this.notice, ...sections);
    this.refresh();
  }

  /** Ask for what is shown: once it is open, and after something was missed. */
  follow(): void {
    this.context.send({ op: "follow", kind: this.kind.name, id: this.id });
  }

  close(): void {
    this.context.send({ op: "unfollow" });
  }

  isOf({ kind, id }: { kind: string; id: string }): boolean {
    return this.kind.name === kind && this.id === id;
  }

  /** The row or its mark changed: other actions are possible. */
  refresh(): void {
    const { store } = this.context;
    this.actions.update(store.row(this.kind.name, this.id), store.mark(this.kind.name, this.id)?.error ?? "");
  }

  show(details: Details): void {
    const shown = JSON.stringify(details);
    this.notice.hidden = true;
    if (shown === this.shown) return;
    this.shown = shown;
    const { say, store } = this.context;
    const context = { say, nameOf: (id: string) => store.sourceName(id) };
    const metadata = details.metadata.map(([key, value]): Fact => [key, value, "text"]);
    this.history.update(details.history);
    this.sections.details.update([factList(details.facts, context)]);
    this.sections.history.update(details.history.length ? [this.history.element] : []);
    this.sections.metadata.update(metadata.length ? [factList(metadata, context)] : []);
    this.sections.cells.update(details.cells.map((cell) => snippet(cell, this.context)));
    this.sections.raw.update([rawJson(details.raw, say)]);
    this.tick();
  }

  fail({ error }: DetailsFailed): void {
    this.notice.className = "rl-form-problem";
    this.notice.setAttribute("role", "alert");
    this.notice.textContent = error;
    this.notice.hidden = false;
  }

  addLog(event: LogAdded): void {
    this.log.add(event);
  }

  tick(): void {
    this.history.tick(this.context.store.now());
  }
}
