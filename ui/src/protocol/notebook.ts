// Made from runloop_jupyter/widgets/protocol by scripts/protocol_types.py: change the classes, then `make ui`.

import type { Ack, Alive, BinaryFields, Bye, Ended, HelloWanted, Problem } from "./common";

/** As every widget's. */
export interface Hello {
  op: "hello";
  protocol: number;
  visible: boolean;
}

/** The panel is wanted for the sidebar. */
export interface ShowPanel {
  op: "show_panel";
}

/** The current devbox: its id, empty for none, its name or else the id, and its status, empty while none is told. */
export interface CurrentDevbox {
  op: "current_devbox";
  id: string;
  name: string;
  status: string;
}

/** What shows the panel, by MIME type, as in the output of a cell; and `greeting`, where no cell has said it. */
export interface PanelReady {
  op: "panel_ready";
  data: Readonly<Record<string, unknown>>;
  greeting: string;
}

/** There is no panel; `text` says why, and what to do. */
export interface PanelFailed {
  op: "panel_failed";
  text: string;
}

export type Request =
  | Hello
  | Alive
  | Bye
  | ShowPanel;

export type Event =
  | Ack
  | HelloWanted
  | Problem
  | Ended
  | CurrentDevbox
  | PanelReady
  | PanelFailed;

export const BINARY: BinaryFields = {};
