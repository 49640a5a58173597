// Made from runloop_jupyter/widgets/protocol by scripts/protocol_types.py: change the classes, then `make ui`.

import type { Ack, Alive, BinaryFields, Bye, Ended, HelloWanted, Problem } from "./common";

/** One line; `time` is in milliseconds since 1970, `level` is empty where the service tells none. */
export type Line = [time: number, source: string, kind: "command" | "exit" | "line" | "gap", level: string, text: string];

/** As every widget's. */
export interface Hello {
  op: "hello";
  protocol: number;
  visible: boolean;
}

/** Look now. */
export interface Refresh {
  op: "refresh";
}

/** Forget the lines that are shown. */
export interface Clear {
  op: "clear";
}

/** Save all lines that are kept as a file beside the notebook. */
export interface Save {
  op: "save";
}

/** No lines yet: those that there are follow. The page keeps the last `limit` of them. A `State` comes before it. */
export interface Snapshot {
  op: "snapshot";
  limit: number;
}

/** The state of following: `waiting` after an error, until it is tried again. */
export interface State {
  op: "state";
  state: "loading" | "live" | "waiting" | "ended";
}

/** More lines. */
export interface Lines {
  op: "lines";
  lines: readonly Line[];
}

/** Nothing is shown any more. */
export interface Cleared {
  op: "cleared";
}

/** The file was saved; `text` says where. */
export interface Saved {
  op: "saved";
  text: string;
}

export type Request =
  | Hello
  | Alive
  | Bye
  | Refresh
  | Clear
  | Save;

export type Event =
  | Ack
  | HelloWanted
  | Problem
  | Ended
  | Snapshot
  | State
  | Lines
  | Cleared
  | Saved;

export const BINARY: BinaryFields = {};
