import { beforeEach, expect, test } from "vitest";
import { FLASH, Store } from "../../src/panel/store";
import type { Snapshot } from "../../src/protocol/panel";
import { devbox, KINDS, part, wholeTable } from "./kinds";

let clock: number;
let store: Store;

const SNAPSHOT: Snapshot = {
  op: "snapshot",
  now: 5000,
  kinds: ["devbox", "object"],
  current: "d1",
  health: { devbox: { loading: false, error: "", retry: null } },
  marks: [["devbox", "d1", "suspending", ""]],
  service: "local",
  tools: [["logs:d1", "d1"]],
  tool: "logs:d1",
  model: "m",
};

beforeEach(() => {
  clock = 1000;
  store = new Store(KINDS, () => clock);
  store.takeSnapshot(SNAPSHOT);
  store.takeTable(wholeTable("devbox", [devbox("d1"), devbox("d2", { status: "shutdown" })]));
});

test("a snapshot says what there is, and what time it is", () => {
  expect([store.tabs, store.current, store.service, store.tool]).toEqual([
    ["devbox", "object"],
    "d1",
    "local",
    "logs:d1",
  ]);
  expect(store.healthOf("devbox").loading).toBe(false);
  expect(store.healthOf("blueprint").loading).toBe(true);
  clock += 500;
  expect(store.now()).toBe(5500);
  store.changeClock({ op: "clock_changed", now: 9000 });
  expect(store.now()).toBe(9000);
});

test("a table counts its rows by status", () => {
  expect(Object.fromEntries(store.table("devbox").counts)).toEqual({ running: 1, shutdown: 1 });
  const rows = [devbox("d1", { status: "suspended" }), devbox("d3", { status: "suspended" })];
  store.changeRows({ op: "rows_changed", kind: "devbox", rows, gone: ["d2"] });
  expect(Object.fromEntries(store.table("devbox").counts)).toEqual({ suspended: 2 });
  store.takeTable(wholeTable("devbox", []));
  expect(store.table("devbox").counts.size).toBe(0);
});

test("a table in parts keeps what was there until its last part, and says that it is loading", () => {
  const [first, second] = [store.row("devbox", "d1"), store.row("devbox", "d2")];
  const renewed = devbox("d2", { status: "suspended" });
  const change = store.takeTable(part("devbox", [renewed, devbox("d3")], { first: true, last: false }));
  expect(change).toEqual({ added: [renewed, devbox("d3")], removed: [second] });
  expect([...store.table("devbox").rows.keys()]).toEqual(["d1", "d2", "d3"]);
  expect(store.healthOf("devbox").loading).toBe(true);
  store.changeRows({ op: "rows_changed", kind: "devbox", rows: [devbox("d4")], gone: ["d3"] });
  const last = store.takeTable(part("devbox", [devbox("d5")], { first: false, last: true }));
  expect(last).toEqual({ added: [devbox("d5")], removed: [first] });
  expect([...store.table("devbox").rows.keys()]).toEqual(["d2", "d4", "d5"]);
  expect(store.healthOf("devbox").loading).toBe(false);
  expect(Object.fromEntries(store.table("devbox").counts)).toEqual({ suspended: 1, running: 2 });
});

test("a change names the rows that it replaces or takes away", () => {
  const [first, second] = [store.row("devbox", "d1"), store.row("devbox", "d2")];
  const changed = [devbox("d1", { status: "suspended" }), devbox("d3")];
  const change = store.changeRows({ op: "rows_changed", kind: "devbox", rows: changed, gone: ["d2", "unknown"] });
  expect(change).toEqual({ added: changed, removed: [first, second] });
  expect(store.row("devbox", "d2")).toBeUndefined();
});

test("a row that changed flashes for a while, a new one does not", () => {
  store.changeRows({ op: "rows_changed", kind: "devbox", rows: [devbox("d1"), devbox("d3")], gone: [] });
  clock += 400;
  expect([store.flashAge("devbox", "d1"), store.flashAge("devbox", "d3")]).toEqual([400, null]);
  clock += FLASH;
  store.fade();
  expect(store.flashAge("devbox", "d1")).toBeNull();
});

test("marks come, change and go; also with their rows", () => {
  expect(store.mark("devbox", "d1")).toEqual({ doing: "suspending", error: "" });
  store.changeMarks({
    op: "marks_changed",
    marks: [
      ["devbox", "d1", "", ""],
      ["devbox", "d2", "", "no"],
      ["devbox", "unknown", "", "no"],
    ],
  });
  expect(["d1", "d2", "unknown"].map((id) => store.mark("devbox", id)?.error)).toEqual([undefined, "no", undefined]);
  store.changeRows({ op: "rows_changed", kind: "devbox", rows: [], gone: ["d2"] });
  expect(store.mark("devbox", "d2")).toBeNull();
});

test("names come from the tables, ids stand in for them", () => {
  store.takeTable(wholeTable("blueprint", [["b1", "science", "build_complete", 0, null]]));
  expect(["b1", "b2", ""].map((id) => store.sourceName(id))).toEqual(["science", "b2", ""]);
  store.changeRows({ op: "rows_changed", kind: "devbox", rows: [devbox("d1", { name: null })], gone: [] });
  expect(["d1", "d2", "d3"].map((id) => store.nameOf("devbox", id))).toEqual(["d1", "d2", "d3"]);
});
