import type { Channel } from "../../channel";
import { copyButton } from "../../dom/clipboard";
import { button, h, setText } from "../../dom/elements";
import type { IconName } from "../../dom/icons";
import type { RenderOptions } from "../../model";
import { BINARY, type Event, type Line, type Request, type State } from "../../protocol/logs";
import { type Tool, ToolFrame } from "../tool_frame";
import { type LogAction, logAction } from "./keys";
import { LogBar } from "./log_bar";
import { lineText } from "./log_line";
import { LogList } from "./log_list";
import { LogStore } from "./log_store";

const STATES: Record<State["state"], string> = {
  loading: "Loading …",
  live: "Live",
  waiting: "Not reachable, trying again",
  ended: "The devbox has ended",
};
const SAID_FOR = 8000; // milliseconds

/** What programs print on a devbox, as it comes. */
export class LogsTool implements Tool {
  private readonly frame: ToolFrame;
  private readonly channel: Channel<Request, Event>;
  private readonly store = new LogStore();
  private readonly list: LogList;
  private readonly bar: LogBar;
  private readonly status = h("span", { class: "rl-log-status", role: "status" });
  private readonly empty = h("p", { class: "rl-tool-empty" });
  private readonly end = button("To the end", () => this.toEnd(), { shape: "down", kind: "rl-to-end", hidden: true });
  private readonly saved = h("div", { class: "rl-log-saved", role: "status", hidden: true });
  private savedTimer: ReturnType<typeof setTimeout> | undefined;
  private state: State["state"] = "loading";

  private readonly actions: Record<LogAction, () => void> = {
    next: () => this.step(1),
    previous: () => this.step(-1),
    search: () => this.bar.startSearch(),
    pause: () => this.togglePause(),
  };

  constructor(options: RenderOptions) {
    this.frame = new ToolFrame("logs", options);
    this.list = new LogList(`Lines. ${this.frame.heading}`, this.store, () => this.updateMarks());
    this.bar = new LogBar({
      onSearch: (wanted) => this.search(wanted),
      onStep: (step) => this.step(step),
      onOnlyFound: (on) => this.choose(() => this.store.setOnlyFound(on)),
      onFilter: (filter) => this.choose(() => this.store.setFilter(filter)),
      onPause: () => this.togglePause(),
    });
    this.fillBar();
    const body = h("div", { class: "rl-tool-body" }, this.list.element, this.empty, this.end);
    this.frame.element.append(body, this.list.whole, this.saved);
    this.frame.element.addEventListener("keydown", (event) => this.key(event));
    this.updateState("loading");
    this.channel = this.frame.channel<Request, Event>({
      binary: BINARY,
      handlers: {
        snapshot: ({ limit }) => this.begin(limit),
        lines: ({ lines }) => this.add(lines),
        state: ({ state }) => this.updateState(state),
        cleared: () => this.choose(() => this.store.clear()),
        saved: ({ text }) => this.showSaved(text),
      },
      onOver: () => this.updateState("waiting"),
    });
    this.channel.open();
  }

  close(): void {
    clearTimeout(this.savedTimer);
    this.channel.close();
    this.list.close();
    this.frame.close();
  }

  private fillBar(): void {
    const flat = (shape: IconName, title: string, onclick: () => void) =>
      button("", onclick, { shape, kind: "rl-flat", title });
    const shown = () => this.store.rows().map(lineText).join("\n");
    this.frame.bar.append(
      this.frame.title(),
      this.status,
      h("span", { class: "rl-spring" }),
      ...this.bar.elements,
      flat("again", "Look now", () => this.channel.send({ op: "refresh" })),
      flat("download", "Save all lines beside the notebook", () => this.channel.send({ op: "save" })),
      copyButton("Copy the lines that are shown", shown, this.frame.announcer.say),
      flat("clear", "Clear", () => this.channel.send({ op: "clear" })),
    );
  }

  private begin(limit: number): void {
    this.choose(() => this.store.reset(limit));
  }

  private add(lines: readonly Line[]): void {
    this.bar.offerSources(lines.map(([, source]) => source));
    if (this.store.add(lines)) this.showNew();
    else this.updatePause();
  }

  private showNew(): void {
    if (this.store.dropped) this.list.updateAfterDrop(this.store.dropped);
    else this.list.update();
    this.updateMarks();
  }

  /** Show other lines, as `change` chooses them. */
  private choose(change: () => void): void {
    change();
    this.list.updateAll();
    this.updatePause();
    this.updateMarks();
  }

  private search(wanted: string): void {
    this.choose(() => this.store.setQuery(wanted));
    const last = this.store.hitFrom(-1, -1);
    if (last >= 0) this.list.select(last);
  }

  private step(step: 1 | -1): void {
    const row = this.store.hitFrom(this.list.active, step);
    if (row >= 0) this.list.select(row);
  }

  private togglePause(): void {
    if (this.store.paused) {
      this.store.goOn();
      this.showNew();
    } else {
      this.store.pause();
    }
    this.updatePause();
  }

  private toEnd(): void {
    this.list.toEnd();
    this.updateMarks();
  }

  private updatePause(): void {
    this.bar.updatePause(this.store.paused, this.store.heldCount);
  }

  private updateState(state: State["state"]): void {
    this.state = state;
    this.frame.element.dataset.state = state;
    setText(this.status, STATES[state]);
    this.updateMarks();
  }

  /** What stands around the lines. */
  private updateMarks(): void {
    this.end.hidden = this.list.isAtEnd;
    this.empty.hidden = this.store.count > 0;
    setText(this.empty, this.emptyText());
    this.bar.updateCount(this.store.hitCount(this.list.active));
  }

  private emptyText(): string {
    if (!this.store.isEmpty) return "No line is like this.";
    return this.state === "loading" ? STATES.loading : "No lines yet: run a command on this devbox.";
  }

  private showSaved(text: string): void {
    setText(this.saved, text);
    this.saved.hidden = false;
    clearTimeout(this.savedTimer);
    this.savedTimer = setTimeout(() => {
      this.saved.hidden = true;
    }, SAID_FOR);
  }

  private key(event: KeyboardEvent): void {
    const action = logAction(event, event.target === this.list.element);
    if (action === null) return;
    this.actions[action]();
    event.preventDefault();
  }
}
