import { h, setText } from "../../dom/elements";
import { type LineAction, lineAction } from "./keys";

const HIGHEST = 160; // pixels
const HINTS = {
  command: "Enter runs, Shift+Enter for more lines, ↑ for earlier commands",
  input: "Its input: Enter sends, Ctrl+D ends it, Ctrl+C stops the command",
};

/** The line of a console: for a command, or for the input of the one that runs. */
export class CommandLine {
  readonly element: HTMLElement;
  private readonly area = h("textarea", {
    class: "rl-command-line",
    rows: 1,
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
  });
  private readonly prompt = h("span", { class: "rl-prompt", "aria-hidden": "true" });
  private running = false;

  constructor(private readonly onAction: (action: LineAction) => void) {
    this.element = h("div", { class: "rl-console-entry" }, this.prompt, this.area);
    this.area.addEventListener("input", () => this.fit());
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.updateRunning(false);
  }

  get value(): string {
    return this.area.value;
  }

  focus(): void {
    this.area.focus();
  }

  disable(): void {
    this.area.disabled = true;
  }

  write(value: string, cursor = value.length): void {
    this.area.value = value;
    this.fit();
    this.area.setSelectionRange(cursor, cursor);
  }

  updateRunning(running: boolean): void {
    this.running = running;
    this.area.placeholder = running ? HINTS.input : HINTS.command;
    const name = running ? "Input for the command" : "Command";
    this.area.setAttribute("aria-label", `${name}. ${this.area.placeholder}`);
    setText(this.prompt, running ? "›" : "$");
  }

  private key(event: KeyboardEvent): void {
    if (event.isComposing) return;
    const { value, selectionStart, selectionEnd } = this.area;
    const action = lineAction(event, { running: this.running, value, selectionStart, selectionEnd });
    if (action === null) return;
    event.preventDefault();
    if (action === "new line") {
      this.write(`${value.slice(0, selectionStart)}\n${value.slice(selectionEnd)}`, selectionStart + 1);
    } else {
      this.onAction(action);
    }
  }

  private fit(): void {
    const { style } = this.area;
    style.height = "auto";
    const needed = this.area.scrollHeight + this.area.offsetHeight - this.area.clientHeight;
    style.height = `${Math.min(needed, HIGHEST)}px`;
    style.overflowY = needed > HIGHEST ? "auto" : "hidden";
  }
}
