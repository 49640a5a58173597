import type { Channel } from "../../channel";
import { copyText } from "../../dom/clipboard";
import { button, h, setText } from "../../dom/elements";
import { focusedNear } from "../../dom/focus";
import { icon } from "../../dom/icons";
import type { RenderOptions } from "../../model";
import { BINARY, type Event, type Request } from "../../protocol/terminal";
import { type Tool, ToolFrame } from "../tool_frame";
import { emulatorArrived, loadEmulator } from "./emulator";
import { type TerminalAction, terminalAction } from "./keys";
import { ReplayGuard } from "./replay";
import { Screen } from "./screen";
import { type ShellState, shellLook } from "./states";

/** A shell of the devbox, in a terminal. */
export class TerminalTool implements Tool {
  private readonly frame: ToolFrame;
  private readonly channel: Channel<Request, Event>;
  private readonly screen: Screen;
  private readonly replay = new ReplayGuard();
  private readonly status = h("span", { class: "rl-shell-status", role: "status" });
  private readonly again = button("New shell", () => this.reopen(), { shape: "again" });
  private readonly sentence = h("span");
  private readonly over = h("div", { class: "rl-shell-over", hidden: true }, this.sentence, this.again);
  private readonly reader: HTMLButtonElement;
  private state: ShellState = "connecting";
  private isClosed = false;

  private readonly actions: Record<TerminalAction, (event: KeyboardEvent) => void> = {
    leave: () => this.reader.focus(),
    "new shell": () => this.reopen(),
    copy: (event) => {
      event.preventDefault();
      void copyText(this.screen.selection);
    },
  };

  constructor(options: RenderOptions) {
    this.frame = new ToolFrame("terminal", options);
    this.reader = button("", () => this.toggleReader(), {
      shape: "read",
      kind: "rl-flat",
      title: "Screen reader mode",
      "aria-pressed": "false",
    });
    this.frame.bar.append(this.frame.title(), h("span", { class: "rl-spring" }), this.status, this.reader);
    this.screen = new Screen({
      label: `${this.frame.heading}. Shift+Escape leaves it.`,
      onData: (data) => this.type(data),
      onResize: (size) => this.channel.send({ op: "resize", ...size }),
      onKey: (event) => this.key(event),
    });
    for (const kind of ["keydown", "paste", "compositionstart", "beforeinput"]) {
      this.screen.element.addEventListener(kind, () => this.replay.end(), { capture: true });
    }
    this.frame.element.append(this.screen.element, this.over);
    this.updateState("connecting", false);
    this.channel = this.connect();
    this.channel.open();
    void this.start();
  }

  close(): void {
    this.isClosed = true;
    this.channel.close();
    this.screen.close();
    this.frame.close();
  }

  private connect(): Channel<Request, Event> {
    return this.frame.channel<Request, Event>({
      binary: BINARY,
      hello: () => ({ ...this.screen.size }),
      handlers: {
        snapshot: ({ data, offset }) => this.begin(data, offset),
        data: ({ data, offset }) => this.show(data, offset),
        state: ({ state, found }) => {
          if (found) this.replay.begin();
          this.updateState(state, found);
        },
        reset: () => this.screen.reset(),
        emulator: (files) => emulatorArrived(files),
      },
      onOver: () => {
        this.updateState("lost", false);
        this.over.hidden = true; // whoever could connect again is gone
      },
    });
  }

  private async start(): Promise<void> {
    try {
      const emulator = await loadEmulator(() => this.channel.send({ op: "load_emulator" }));
      if (this.isClosed) return;
      if (this.screen.hasEarly) this.replay.begin();
      this.screen.start(emulator);
    } catch (error) {
      this.frame.notices.showProblem(`The terminal could not be loaded: ${(error as Error).message}`);
    }
  }

  private begin(data: Uint8Array, offset: number): void {
    this.replay.begin();
    this.screen.reset();
    this.show(data, offset);
  }

  private show(data: Uint8Array, offset: number): void {
    this.screen.write(data, () => this.channel.send({ op: "drawn", offset }));
  }

  /** Where there are two views, the one that has the keyboard answers. */
  private type(data: Uint8Array): void {
    if (this.replay.isReplaying || !this.screen.element.contains(focusedNear(this.screen.element))) return;
    this.channel.send({ op: "type", data });
  }

  private key(event: KeyboardEvent): boolean {
    const action = terminalAction(event, this.state);
    if (action) this.actions[action](event);
    return action === null;
  }

  private reopen(): void {
    this.screen.focus();
    this.channel.send({ op: "open", ...this.screen.size });
  }

  private toggleReader(): void {
    const on = this.reader.getAttribute("aria-pressed") !== "true";
    this.reader.setAttribute("aria-pressed", String(on));
    this.screen.setReadsAloud(on);
  }

  private updateState(state: ShellState, found: boolean): void {
    this.state = state;
    const { mark, status, sentence, offer } = shellLook(state, found);
    const shape = mark === "spin" ? icon("spin", "info") : icon("disc", mark);
    this.status.replaceChildren(shape, h("span", {}, status));
    this.over.hidden = !sentence;
    setText(this.sentence, sentence);
    if (this.again.lastElementChild) setText(this.again.lastElementChild, offer);
    this.screen.setTakesInput(state === "attached" || state === "connecting"); // the kernel keeps it until it is connected
  }
}
