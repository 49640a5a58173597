// What this page knows of the kernel's tables, shared by all views of one panel. Messages that were missed are noticed
// by their numbers, and a new snapshot is asked for.

class Store {
  constructor(model) {
    this.model = model;
    this.kinds = new Map(model.get("kinds").map((kind) => [kind.name, readKind(kind)]));
    this.tables = new Map([...this.kinds.keys()].map((name) => [name, newTable()]));
    this.health = {};
    this.marks = new Map();
    this.flashes = new Map();
    this.served = [...this.kinds.keys()].slice(0, 4);
    this.current = "";
    this.service = "";
    this.shownAs = "";
    this.skew = 0;
    this.tools = [];
    this.tool = "";
    this.welcomed = false;
    this.over = "";
    this.listeners = new Set();
    this.pending = new Map();
    this.number = 0;
    this.received = 0;
    this.take = (content, buffers) => this.message(content, buffers);
    model.on("msg:custom", this.take);
  }

  dispose() {
    this.model.off("msg:custom", this.take);
  }

  /** Nobody looks: keep nothing that a snapshot will bring. */
  forget() {
    for (const name of this.tables.keys()) this.tables.set(name, { ...newTable(), seq: null });
  }

  now() {
    return Date.now() + this.skew;
  }

  send(op, content = {}, buffers) {
    const n = ++this.number;
    this.pending.set(n, performance.now());
    this.model.send({ op, n, ...content }, undefined, buffers);
  }

  /** Milliseconds that the kernel has owed an answer for; 0 when it owes none. */
  waiting() {
    const [oldest] = this.pending.values();
    return oldest === undefined ? 0 : performance.now() - oldest;
  }

  tell(event, detail) {
    for (const listener of [...this.listeners]) listener(event, detail);
  }

  message(content, buffers) {
    const handler = this[`on_${content.op}`];
    if (handler) handler.call(this, content, buffers || []);
    else this.tell(content.op, content);
  }

  on_ack({ n }) {
    for (const key of [...this.pending.keys()]) if (key <= n) this.pending.delete(key);
    this.tell("ack");
  }

  on_clock({ now }) {
    this.skew = now - Date.now();
  }

  on_welcome(content) {
    this.on_clock(content);
    this.served = content.served;
    this.current = content.current;
    this.health = content.health;
    this.service = content.service;
    this.shownAs = content.model;
    this.tools = content.tools;
    this.tool = content.tool;
    this.marks = new Map(content.marks.map(([kind, id, mark]) => [`${kind}:${id}`, mark]));
    this.welcomed = true;
    this.tell("welcome");
  }

  on_snapshot({ kind, seq }, buffers) {
    const table = newTable();
    for (const row of JSON.parse(new TextDecoder().decode(buffers[0]))) put(this.kinds.get(kind), table, row);
    table.seq = seq;
    this.tables.set(kind, table);
    this.tell("rows", { kind, all: true });
  }

  on_patch({ kind, seq, rows, gone }) {
    const table = this.tables.get(kind);
    if (!table || table.seq === null || seq <= table.seq) return;
    if (seq !== table.seq + 1) {
      table.seq = null; // nothing counts until the snapshot is here
      this.send("resync", { kind });
      return;
    }
    table.seq = seq;
    const before = rows.map((row) => table.rows.get(row[0]));
    for (const row of rows) {
      if (table.rows.has(row[0])) this.flashes.set(`${kind}:${row[0]}`, performance.now());
      put(this.kinds.get(kind), table, row);
    }
    for (const id of gone) {
      drop(this.kinds.get(kind), table, id);
      this.marks.delete(`${kind}:${id}`);
    }
    this.tell("rows", { kind, rows, before, gone });
  }

  /** Forget which rows have flashed. */
  fade(ms) {
    const now = performance.now();
    for (const [key, at] of this.flashes) if (now - at > ms) this.flashes.delete(key);
  }

  /** The name of what a devbox or a snapshot was made from; its id where it is not known. */
  sourceName(id) {
    for (const kind of this.kinds.keys()) {
      const row = id && this.tables.get(kind)?.rows.get(id);
      if (row?.[1]) return row[1];
    }
    return id || "";
  }

  on_over({ text }) {
    this.over = text;
    this.tell("ack");
  }

  on_health({ kind, ...health }) {
    this.health[kind] = health;
    this.tell("health", { kind });
  }

  on_marks({ marks }) {
    for (const [kind, id, mark] of marks) {
      if ((mark.doing || mark.error) && this.tables.get(kind).rows.has(id)) this.marks.set(`${kind}:${id}`, mark);
      else this.marks.delete(`${kind}:${id}`);
    }
    this.tell("marks", marks);
  }

  on_served({ kinds }) {
    this.served = kinds;
    this.tell("served");
  }

  on_current({ id }) {
    this.current = id;
    this.tell("current");
  }

  on_dock({ tools, tool }) {
    this.tools = tools;
    this.tool = tool;
    this.tell("dock");
  }
}

function readKind(kind) {
  const columns = kind.columns.map(([key, label, form, width, rank], at) => ({
    key, label, form, width, rank, at: key === "id" ? 0 : at + 1,
  }));
  const at = Object.fromEntries(columns.map((column) => [column.key, column.at]));
  const state = at.status ?? at.state ?? null;
  return {
    ...kind, columns, at, settled: new Set(kind.settled), ended: new Set(kind.ended),
    status: (row) => (state === null ? "" : row[state]),
    label: (row) => row[1] || row[0],
  };
}

function newTable() {
  return { rows: new Map(), counts: new Map(), seq: 0 };
}

function put(kind, table, row) {
  const before = table.rows.get(row[0]);
  if (before) count(table, kind.status(before), -1);
  table.rows.set(row[0], row);
  count(table, kind.status(row), 1);
}

function drop(kind, table, id) {
  const before = table.rows.get(id);
  if (before) count(table, kind.status(before), -1);
  table.rows.delete(id);
}

function count(table, status, by) {
  const now = (table.counts.get(status) || 0) + by;
  if (now > 0) table.counts.set(status, now);
  else table.counts.delete(status);
}
