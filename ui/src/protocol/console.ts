// Made from runloop_jupyter/widgets/protocol by scripts/protocol_types.py: change the classes, then `make ui`.

import type { Ack, Alive, BinaryFields, Bye, Ended, HelloWanted, Problem } from "./common";

/** A text that is shown. `back` takes output back: so many ends of line, and all after the one before them. */
export type Piece = [kind: "stdout" | "stderr" | "command" | "input" | "good" | "bad" | "quiet" | "back", text: string];

/** As every widget's. */
export interface Hello {
  op: "hello";
  protocol: number;
  visible: boolean;
}

/** Run a command; refused while another one runs. */
export interface Run {
  op: "run";
  command: string;
}

/** A line for the command that runs. */
export interface Input {
  op: "input";
  text: string;
}

/** Close the input of the command that runs. */
export interface EndInput {
  op: "end_input";
}

/** Kill the command that runs; asked again, wait for it no more. */
export interface Stop {
  op: "stop";
}

/** Forget what is shown. */
export interface Clear {
  op: "clear";
}

/** Save the whole output of the last command beside the notebook. */
export interface Save {
  op: "save";
}

/** All that is shown, and the commands that were typed before, oldest first. A `State` follows. */
export interface Snapshot {
  op: "snapshot";
  pieces: readonly Piece[];
  history: readonly string[];
}

/** The state of the command: `seconds` since its start, while it runs. */
export interface State {
  op: "state";
  running: boolean;
  stopping: boolean;
  seconds: number;
}

/** More output. */
export interface Pieces {
  op: "pieces";
  pieces: readonly Piece[];
}

/** Nothing is shown any more. */
export interface Cleared {
  op: "cleared";
}

export type Request =
  | Hello
  | Alive
  | Bye
  | Run
  | Input
  | EndInput
  | Stop
  | Clear
  | Save;

export type Event =
  | Ack
  | HelloWanted
  | Problem
  | Ended
  | Snapshot
  | State
  | Pieces
  | Cleared;

export const BINARY: BinaryFields = {};
