import type { State } from "../../protocol/terminal";

export type ShellState = State["state"];

export interface ShellLook {
  /** The look of the mark beside the text. */
  mark: "spin" | "ok" | "quiet" | "bad";
  status: string;
  /** The sentence below a terminal that takes no keys; empty for one that does. */
  sentence: string;
  /** The label of the button that gets a shell again. */
  offer: string;
}

const LOOKS: Record<ShellState, ShellLook> = {
  connecting: { mark: "spin", status: "Connecting …", sentence: "", offer: "" },
  attached: { mark: "ok", status: "Connected", sentence: "", offer: "" },
  detached: {
    mark: "quiet",
    status: "Detached",
    sentence: "Detached; the shell runs on.",
    offer: "Connect again",
  },
  ended: { mark: "quiet", status: "The shell has ended", sentence: "The shell has ended.", offer: "New shell" },
  lost: { mark: "bad", status: "Not connected", sentence: "Not connected.", offer: "Connect again" },
};

/** How a state of the shell is shown; `found` for a shell that ran already. */
export function shellLook(state: ShellState, found: boolean): ShellLook {
  return found ? { ...LOOKS[state], status: "Connected; this shell ran on" } : LOOKS[state];
}
