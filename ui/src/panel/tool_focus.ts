import { focusedNear } from "../dom/focus";

/** By action, the class of the tool that it opens and, in it, what is to have the keyboard. */
const TOOLS: Record<string, readonly [tool: string, field: string]> = {
  console: ["rl-console", "textarea, input[type=text]"],
  terminal: ["rl-terminal", ".xterm-helper-textarea"],
  logs: ["rl-logs", ".rl-list"],
  files: ["rl-files", ".rl-list"],
};
const PATIENCE = 10_000; // milliseconds
const LOOK_EVERY = 50;

/** Puts the keyboard into a tool that was asked for, once the page has it: what is typed next is meant for it. */
export class ToolFocus {
  private wanted: { action: string; id: string } | null = null;

  constructor(private readonly panel: HTMLElement) {}

  /** An action on a resource was asked for. */
  want(action: string, id: string | undefined): void {
    this.wanted = action in TOOLS && id ? { action, id } : null;
  }

  /** The tool with this key is shown now. */
  opened(key: string): void {
    const { wanted } = this;
    if (!wanted || !key.startsWith(`${wanted.action}:${wanted.id}`)) return;
    this.wanted = null;
    this.enter(wanted.action, wanted.id, performance.now() + PATIENCE);
  }

  /** Unless the user has gone elsewhere meanwhile. */
  private enter(action: string, id: string, until: number): void {
    const isHere = document.activeElement === document.body || this.panel.contains(focusedNear(this.panel));
    if (!isHere || performance.now() > until) return;
    const field = this.fieldOf(action, id);
    field?.focus();
    if (!field || focusedNear(this.panel) !== field) setTimeout(() => this.enter(action, id, until), LOOK_EVERY);
  }

  private fieldOf(action: string, id: string): HTMLElement | null | undefined {
    const [tool, field] = TOOLS[action] ?? ["", ""];
    const box = this.panel.closest(".runloop-panel-box");
    const all = box?.querySelectorAll<HTMLElement>(`.${tool}[aria-label*="${CSS.escape(id)}"]`) ?? [];
    const shown = [...all].filter((each) => each.offsetParent);
    return shown.at(-1)?.querySelector<HTMLElement>(field);
  }
}
