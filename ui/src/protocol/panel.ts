// Made from runloop_jupyter/widgets/protocol by scripts/protocol_types.py: change the classes, then `make ui`.

import type { Ack, Alive, BinaryFields, Bye, Ended, HelloWanted, Problem } from "./common";

/** A column: how its values are shown (`form`), its width in pixels, and its rank: high ones are hidden first. One without a label is not shown: it holds what others need. */
export type Column = [key: string, label: string, form: "text" | "id" | "source" | "status" | "time" | "ending" | "span" | "bytes" | "until", width: number, rank: number];

/** An action on resources; `states` are those that allow it, null for all, `many` if it works on several. */
export interface Action {
  name: string;
  label: string;
  states: readonly string[] | null;
  many: boolean;
  destructive: boolean;
}

/** A kind of resource: `needs` are the kinds whose names its table shows, `create` the label of its button. */
export interface Kind {
  name: string;
  title: string;
  singular: string;
  plural: string;
  empty: string;
  settled: readonly string[];
  ended: readonly string[];
  create: string;
  uploads: boolean;
  prunes: boolean;
  columns: readonly Column[];
  actions: readonly Action[];
  needs: readonly string[];
}

/** A choice or a suggestion of a field. */
export type Option = [value: string, label: string];

/** A field of a form; `more` if it is folded away at first. */
export interface Field {
  name: string;
  label: string;
  form: "text" | "lines" | "choice" | "switch" | "hidden";
  hint: string;
  options: readonly Option[];
  more: boolean;
  value: string;
}

/** A fact in the details. */
export type Fact = [label: string, value: unknown, form: "text" | "id" | "time" | "bytes" | "seconds"];

/** A state that a resource entered, at `time` (milliseconds since 1970, null if unknown), and why. */
export type Step = [status: string, time: number | null, reason: string];

/** A key and a value. */
export type Pair = [key: string, value: string];

/** A cell that does what the panel does. */
export type Cell = [label: string, code: string];

/** A line of a build's log. */
export type LogLine = [level: string, text: string];

export type Row = readonly unknown[];

/** The health of looking at a kind; `retry` is when it is tried again, in milliseconds since 1970. */
export interface Health {
  loading: boolean;
  error: string;
  retry: number | null;
}

/** The words on a row: what is being done to it, or what went wrong. Without either the mark is gone. */
export type Mark = [kind: string, id: string, doing: string, error: string];

/** A tool that is open below the table. */
export type OpenTool = [key: string, title: string];

/** A resource that a question is about. */
export type Doomed = [name: string, id: string, status: string];

/** As every widget's, with the kinds that the view shows now. */
export interface Hello {
  op: "hello";
  protocol: number;
  visible: boolean;
  kinds: readonly string[];
}

/** The view shows these kinds now. */
export interface Want {
  op: "want";
  kinds: readonly string[];
}

/** Try again now, and start the embedded service where it has ended. */
export interface Retry {
  op: "retry";
}

/** Do this to these resources: an action of their kind. It may ask, or open a form or a tool. */
export interface Act {
  op: "act";
  kind: string;
  action: string;
  ids: readonly string[];
}

/** Ask whether to delete what is of no more use. */
export interface Prune {
  op: "prune";
  kind: string;
}

/** The answer to a question. */
export interface Answer {
  op: "answer";
  token: string;
  yes: boolean;
}

/** Open the form for a new resource of a kind. */
export interface OpenForm {
  op: "open_form";
  kind: string;
}

/** Check what was typed into a form: its values by field. */
export interface CheckForm {
  op: "check_form";
  name: string;
  values: Readonly<Record<string, string>>;
}

/** Do what a form asks for. */
export interface SubmitForm {
  op: "submit_form";
  name: string;
  values: Readonly<Record<string, string>>;
}

/** Show the details of a resource in this view, and keep them up to date. */
export interface Follow {
  op: "follow";
  kind: string;
  id: string;
}

/** Show no details in this view any more. */
export interface Unfollow {
  op: "unfollow";
}

/** Take away the mark of a row. */
export interface Dismiss {
  op: "dismiss";
  kind: string;
  id: string;
}

/** Show this tool; an empty key shows none. */
export interface ShowTool {
  op: "show_tool";
  key: string;
}

/** Close this tool. */
export interface CloseTool {
  op: "close_tool";
  key: string;
}

/** A file is to become a storage object; the page calls it `key`. */
export interface Upload {
  op: "upload";
  key: string;
  name: string;
}

/** The next piece of a file. */
export interface UploadPart {
  op: "upload_part";
  key: string;
  data: Uint8Array;
}

/** All of a file was sent, or no more of it comes. */
export interface UploadEnd {
  op: "upload_end";
  key: string;
  whole: boolean;
}

/** The state of the panel; the parts of a `Table` for each kind follow. `now` is the time of the service's clock in milliseconds since 1970, `current` the id of the notebook's devbox, `service` the name of what it is connected to, `tool` the key of the tool that is shown, `model` the id of the widget that the panel's cell shows. */
export interface Snapshot {
  op: "snapshot";
  now: number;
  kinds: readonly string[];
  current: string;
  health: Readonly<Record<string, Health>>;
  marks: readonly Mark[];
  service: string;
  tools: readonly OpenTool[];
  tool: string;
  model: string;
}

/** A part of the rows of a kind, newest first: `rows` is the JSON of a list of them, as UTF-8. With the `last` part it is whole: a row that was in none of them since the `first` one is gone. */
export interface Table {
  op: "table";
  kind: string;
  rows: Uint8Array;
  first: boolean;
  last: boolean;
}

/** Rows that are new or different, and the ids of those that are gone. */
export interface RowsChanged {
  op: "rows_changed";
  kind: string;
  rows: readonly Row[];
  gone: readonly string[];
}

/** Looking at a kind goes better or worse. */
export interface HealthChanged {
  op: "health_changed";
  kind: string;
  health: Health;
}

/** Marks that are new, different or gone. */
export interface MarksChanged {
  op: "marks_changed";
  marks: readonly Mark[];
}

/** These kinds have a tab now. */
export interface KindsChanged {
  op: "kinds_changed";
  kinds: readonly string[];
}

/** The notebook's current devbox is another one; an empty id for none. */
export interface CurrentChanged {
  op: "current_changed";
  id: string;
}

/** Other tools are open, or another one is shown. */
export interface ToolsChanged {
  op: "tools_changed";
  tools: readonly OpenTool[];
  tool: string;
}

/** The service's clock shows another time than was believed. */
export interface ClockChanged {
  op: "clock_changed";
  now: number;
}

/** A sentence for the user about something that was done, or that failed. */
export interface Notice {
  op: "notice";
  text: string;
  error: boolean;
}

/** A question: `items` is what it is about, and `more` how many others; `yes` is the word on the button. */
export interface Confirm {
  op: "confirm";
  token: string;
  title: string;
  text: string;
  items: readonly Doomed[];
  more: number;
  yes: string;
}

/** A form, for the resource with the name `about`, or for a new one. `submit` is the word on the button. */
export interface FormOpened {
  op: "form_opened";
  name: string;
  title: string;
  submit: string;
  about: string;
  fields: readonly Field[];
}

/** A sentence for each field that cannot stay so, and the line of a cell that does the same. */
export interface FormChecked {
  op: "form_checked";
  name: string;
  problems: Readonly<Record<string, string>>;
  magic: string;
}

/** What a form asks for was not done; `text` says why, where no field does. */
export interface FormRefused {
  op: "form_refused";
  name: string;
  text: string;
}

/** The service does what a form asks for. */
export interface FormAccepted {
  op: "form_accepted";
  name: string;
}

/** A link that was asked for, and the token that opens it, where one is needed. */
export interface LinkReady {
  op: "link_ready";
  title: string;
  url: string;
  token: string;
}

/** The view is to show the details of this resource. */
export interface DetailsWanted {
  op: "details_wanted";
  kind: string;
  id: string;
}

/** The details of a resource, without its secrets: `raw` is its JSON. */
export interface Details {
  op: "details";
  kind: string;
  id: string;
  facts: readonly Fact[];
  metadata: readonly Pair[];
  history: readonly Step[];
  cells: readonly Cell[];
  raw: string;
}

/** The details cannot be had now; it is tried again. */
export interface DetailsFailed {
  op: "details_failed";
  kind: string;
  id: string;
  error: string;
}

/** Lines of a build's log, from line `start` on; 0 begins anew. */
export interface LogAdded {
  op: "log_added";
  id: string;
  start: number;
  lines: readonly LogLine[];
}

/** The bytes of a file that came so far; `done` when it needs no more of the page. */
export interface UploadProgress {
  op: "upload_progress";
  key: string;
  received: number;
  done: boolean;
}

export type Request =
  | Hello
  | Alive
  | Bye
  | Want
  | Retry
  | Act
  | Prune
  | Answer
  | OpenForm
  | CheckForm
  | SubmitForm
  | Follow
  | Unfollow
  | Dismiss
  | ShowTool
  | CloseTool
  | Upload
  | UploadPart
  | UploadEnd;

export type Event =
  | Ack
  | HelloWanted
  | Problem
  | Ended
  | Snapshot
  | Table
  | RowsChanged
  | HealthChanged
  | MarksChanged
  | KindsChanged
  | CurrentChanged
  | ToolsChanged
  | ClockChanged
  | Notice
  | Confirm
  | FormOpened
  | FormChecked
  | FormRefused
  | FormAccepted
  | LinkReady
  | DetailsWanted
  | Details
  | DetailsFailed
  | LogAdded
  | UploadProgress;

export const BINARY: BinaryFields = {
  upload_part: ["data"],
  table: ["rows"],
};
