import type { Channel } from "../../channel";
import { copyButton } from "../../dom/clipboard";
import { button, h } from "../../dom/elements";
import { focusedNear } from "../../dom/focus";
import { background, isDark, onTheme } from "../../dom/theme";
import type { RenderOptions } from "../../model";
import { BINARY, type Event, type Piece, type Request, type State } from "../../protocol/console";
import { type Tool, ToolFrame } from "../tool_frame";
import { CommandLine } from "./command_line";
import { History } from "./history";
import type { LineAction } from "./keys";
import { Output } from "./output";
import { RunStatus } from "./run_status";

/** Commands on a devbox, one at a time, their output as it comes, and the line for the next. */
export class ConsoleTool implements Tool {
  private readonly frame: ToolFrame;
  private readonly channel: Channel<Request, Event>;
  private readonly history = new History();
  private readonly status = new RunStatus(() => this.stop());
  private readonly line = new CommandLine((action) => this.actions[action]?.());
  private readonly output: Output;
  private readonly empty = h("p", { class: "rl-tool-empty" });
  private readonly end = button("To the end", () => this.toEnd(), { shape: "down", kind: "rl-to-end", hidden: true });
  private readonly forgetTheme: () => void;
  private hadFocus = false; // a page that is loaded again must not take the keyboard

  private readonly actions: Partial<Record<LineAction, () => void>> = {
    stop: () => this.stop(),
    "end input": () => this.channel.send({ op: "end_input" }),
    clear: () => this.channel.send({ op: "clear" }),
    enter: () => this.enter(),
    earlier: () => this.recall(-1),
    later: () => this.recall(1),
    "page up": () => this.output.scrollByPages(-1),
    "page down": () => this.output.scrollByPages(1),
  };

  constructor(options: RenderOptions) {
    this.frame = new ToolFrame("console", options);
    this.output = new Output(`Output. ${this.frame.heading}`, (isAtEnd) => {
      this.end.hidden = isAtEnd;
    });
    this.empty.textContent = "Type a command below: make test, ls -la, pip install pandas …";
    this.fillBar();
    const body = h("div", { class: "rl-tool-body" }, this.output.element, this.empty, this.end);
    this.frame.element.append(body, this.line.element);
    this.frame.element.addEventListener("focusin", () => {
      this.hadFocus = true;
    });
    this.output.element.addEventListener("keydown", (event) => this.outputKey(event));
    this.forgetTheme = onTheme(() => this.takeTheme());
    this.takeTheme();
    this.channel = this.frame.channel<Request, Event>({
      binary: BINARY,
      handlers: {
        snapshot: ({ pieces, history }) => this.begin(pieces, history),
        pieces: ({ pieces }) => this.show(pieces),
        state: (state) => this.updateState(state),
        cleared: () => this.clear(),
      },
      onOver: () => this.over(),
    });
    this.channel.open();
  }

  close(): void {
    this.channel.close();
    this.status.close();
    this.output.close();
    this.forgetTheme();
    this.frame.close();
  }

  private fillBar(): void {
    const { say } = this.frame.announcer;
    const kind = "rl-flat";
    this.frame.bar.append(
      this.frame.title(),
      h("span", { class: "rl-spring" }),
      this.status.element,
      button("", () => this.channel.send({ op: "save" }), {
        shape: "download",
        kind,
        title: "Save the whole output beside the notebook",
      }),
      copyButton("Copy what is shown", () => this.output.text, say),
      button("", () => this.channel.send({ op: "clear" }), { shape: "clear", kind, title: "Clear (Ctrl+L)" }),
    );
  }

  private begin(pieces: readonly Piece[], history: readonly string[]): void {
    this.clear();
    this.show(pieces);
    this.history.reset(history);
  }

  private clear(): void {
    this.output.clear();
    this.empty.hidden = false;
  }

  private show(pieces: readonly Piece[]): void {
    this.output.add(pieces);
    if (pieces.length) this.empty.hidden = true;
    for (const [kind, words] of pieces) {
      if (kind === "good" || kind === "bad") this.status.setOutcome(words);
      if (kind === "command") this.history.add(words);
    }
  }

  private updateState(state: State): void {
    const hasEnded = this.status.running && !state.running;
    this.status.update(state);
    this.line.updateRunning(state.running);
    if (hasEnded && this.hadFocus && this.frame.element.contains(focusedNear(this.frame.element))) this.line.focus();
  }

  private over(): void {
    this.updateState({ op: "state", running: false, stopping: false, seconds: 0 });
    this.line.disable();
  }

  private stop(): void {
    this.channel.send({ op: "stop" });
    this.line.focus();
  }

  private enter(): void {
    const text = this.line.value;
    if (this.status.running) this.channel.send({ op: "input", text });
    else if (text.trim()) this.channel.send({ op: "run", command: text });
    else return;
    this.history.leave();
    this.line.write("");
    this.output.toEnd();
  }

  private recall(step: number): void {
    const found = this.history.recall(step, this.line.value);
    if (found !== null) this.line.write(found);
  }

  private toEnd(): void {
    this.output.toEnd();
    this.line.focus();
  }

  private outputKey(event: KeyboardEvent): void {
    const isCopy = !document.getSelection()?.isCollapsed;
    if (!event.ctrlKey || event.key !== "c" || isCopy || !this.status.running) return;
    this.stop();
    event.preventDefault();
  }

  private takeTheme(): void {
    this.frame.element.classList.toggle("rl-console-dark", isDark(background(this.output.element)));
  }
}
