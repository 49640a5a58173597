// Made from runloop_jupyter/widgets/protocol by scripts/protocol_types.py: change the classes, then `make ui`.

export const VERSION = 1;

/** By message, the fields that travel as buffers. */
export type BinaryFields = Readonly<Record<string, readonly string[]>>;

/** A view has opened, or has missed something: it wants all there is. `protocol` is the version that it speaks. */
export interface Hello {
  op: "hello";
  protocol: number;
  visible: boolean;
}

/** The view is there; `visible` tells whether anybody can see it. Sent every 15 seconds, and when that changes. */
export interface Alive {
  op: "alive";
  visible: boolean;
}

/** The view was closed. */
export interface Bye {
  op: "bye";
}

/** The kernel has received all of this view's messages up to number `n`. */
export interface Ack {
  op: "ack";
  n: number;
}

/** The kernel does not know this view, as after a computer's sleep: it is to say hello again. */
export interface HelloWanted {
  op: "hello_wanted";
}

/** A sentence that stands in the view until the next one; an empty one takes it away. */
export interface Problem {
  op: "problem";
  text: string;
}

/** Nothing more will come; `text` says why, and what to do. */
export interface Ended {
  op: "ended";
  text: string;
}
