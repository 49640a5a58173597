// Made from runloop_jupyter/widgets/protocol by scripts/protocol_types.py: change the classes, then `make ui`.

import type { Ack, Alive, BinaryFields, Bye, Ended, HelloWanted, Problem } from "./common";

/** As every widget's, with the size of the view in characters; 0 where it is not known yet. */
export interface Hello {
  op: "hello";
  protocol: number;
  visible: boolean;
  cols?: number;
  rows?: number;
}

/** Send the terminal emulator, which this page does not have yet. */
export interface LoadEmulator {
  op: "load_emulator";
}

/** What was typed. */
export interface Type {
  op: "type";
  data: Uint8Array;
}

/** Everything up to `offset` (bytes since the widget was made) is on the screen: more may be sent. */
export interface Drawn {
  op: "drawn";
  offset: number;
}

/** The view has another size, in characters. */
export interface Resize {
  op: "resize";
  cols: number;
  rows: number;
}

/** Attach again, after the shell ended or was lost. */
export interface Open {
  op: "open";
  cols: number;
  rows: number;
}

/** The end of what the shell has printed so far, up to `offset`. A `State` comes before it. */
export interface Snapshot {
  op: "snapshot";
  offset: number;
  data: Uint8Array;
}

/** The state of the shell; `found` is true if it is one that ran already. */
export interface State {
  op: "state";
  state: "detached" | "connecting" | "attached" | "ended" | "lost";
  found: boolean;
}

/** More of what the shell prints, up to `offset`. */
export interface Data {
  op: "data";
  offset: number;
  data: Uint8Array;
}

/** Another shell begins: what the one before it printed is over. */
export interface Reset {
  op: "reset";
}

/** The terminal emulator: a module and a style sheet, as UTF-8. */
export interface Emulator {
  op: "emulator";
  module: Uint8Array;
  style: Uint8Array;
}

export type Request =
  | Hello
  | Alive
  | Bye
  | LoadEmulator
  | Type
  | Drawn
  | Resize
  | Open;

export type Event =
  | Ack
  | HelloWanted
  | Problem
  | Ended
  | Snapshot
  | State
  | Data
  | Reset
  | Emulator;

export const BINARY: BinaryFields = {
  type: ["data"],
  snapshot: ["data"],
  data: ["data"],
  emulator: ["module", "style"],
};
