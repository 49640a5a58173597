import type { ShellState } from "./states";

export type TerminalAction = "leave" | "new shell" | "copy";

/** The action of a key in a terminal; null for one that goes to the shell. */
export function terminalAction(
  event: { type: string; key: string; code: string; ctrlKey: boolean; shiftKey: boolean },
  state: ShellState,
): TerminalAction | null {
  if (event.type !== "keydown") return null;
  if (event.key === "Escape" && event.shiftKey) return "leave";
  if (event.key === "Enter" && state === "ended") return "new shell";
  return event.ctrlKey && event.shiftKey && event.code === "KeyC" ? "copy" : null;
}
