import type { Kind, Row, Table } from "../../src/protocol/panel";

/** Kinds as the kernel describes them, shortened. */
export const DEVBOX: Kind = {
  name: "devbox",
  title: "Devboxes",
  singular: "devbox",
  plural: "devboxes",
  empty: "No devbox yet. Create one here, or by `%devbox create` in a cell.",
  settled: ["running", "suspended", "shutdown"],
  ended: ["shutdown"],
  create: "New devbox",
  uploads: false,
  prunes: false,
  columns: [
    ["name", "Name", "text", 190, 0],
    ["status", "Status", "status", 130, 0],
    ["created", "Created", "time", 110, 2],
    ["ended", "Ends", "ending", 160, 1],
    ["source", "Source", "source", 150, 4],
    ["size", "Size", "text", 80, 5],
    ["reason", "", "text", 120, 0],
    ["until", "", "until", 120, 0],
    ["with_kernel", "", "until", 120, 0],
    ["id", "ID", "id", 230, 7],
  ],
  actions: [
    { name: "use", label: "Use", states: ["running", "suspended"], many: false, destructive: false },
    { name: "console", label: "Run a command", states: ["running"], many: false, destructive: false },
    { name: "terminal", label: "Open terminal", states: ["running"], many: false, destructive: false },
    { name: "logs", label: "Logs", states: null, many: false, destructive: false },
    { name: "suspend", label: "Suspend", states: ["running"], many: true, destructive: false },
    { name: "resume", label: "Resume", states: ["suspended"], many: true, destructive: false },
    { name: "shutdown", label: "Shut down…", states: ["running", "suspended"], many: true, destructive: true },
  ],
  needs: ["blueprint"],
};

export const BLUEPRINT: Kind = {
  ...DEVBOX,
  name: "blueprint",
  title: "Blueprints",
  singular: "blueprint",
  plural: "blueprints",
  empty: "No blueprint yet.",
  ended: [],
  create: "",
  columns: [
    ["name", "Name", "text", 190, 0],
    ["status", "Status", "status", 130, 0],
    ["created", "Created", "time", 110, 0],
    ["lasted", "Lasted", "span", 110, 0],
    ["id", "ID", "id", 230, 7],
  ],
  actions: [{ name: "delete", label: "Delete…", states: null, many: true, destructive: true }],
  needs: [],
};

export const OBJECT: Kind = {
  ...BLUEPRINT,
  name: "object",
  title: "Storage objects",
  singular: "storage object",
  plural: "storage objects",
  uploads: true,
  columns: [
    ["name", "Name", "text", 190, 0],
    ["size", "Size", "bytes", 130, 0],
  ],
};

export const KINDS = [DEVBOX, BLUEPRINT, OBJECT];

interface Values {
  name?: string | null;
  status?: string;
  created?: number;
  ended?: number | null;
  source?: string;
  size?: string;
  reason?: string;
  until?: number | null;
  withKernel?: string;
}

/** The row of a devbox. */
export function devbox(id: string, values: Values = {}): Row {
  const { name = id, status = "running", created = 0, ended = null, source = "", size = "small" } = values;
  const { reason = "", until = null, withKernel = "" } = values;
  return [id, name, status, created, ended, source, size, reason, until, withKernel];
}

/** A part of a table. */
export function part(kind: string, rows: readonly Row[], place: { first: boolean; last: boolean }): Table {
  return { op: "table", kind, rows: new TextEncoder().encode(JSON.stringify(rows)), ...place };
}

/** A table that comes in one part. */
export function wholeTable(kind: string, rows: readonly Row[]): Table {
  return part(kind, rows, { first: true, last: true });
}
