import { describe, expect, test } from "vitest";
import { barrier, byFrequency, labelFor } from "../../src/panel/actions";
import { factText } from "../../src/panel/details/facts";
import { escapeTarget, isOurs } from "../../src/panel/keyboard";
import { type Column, ResourceKind } from "../../src/panel/kinds";
import { countdown } from "../../src/panel/messages/banners";
import { Store } from "../../src/panel/store";
import { CellTexts } from "../../src/panel/table/cell_text";
import { boundedWidth, fittingColumns, tracks } from "../../src/panel/table/columns";
import { parts } from "../../src/panel/table/empty";
import { commandFor } from "../../src/panel/table/keys";
import { Selection } from "../../src/panel/table/selection";
import { filtersOf, liveCount } from "../../src/panel/toolbar/filters";
import { liveLook } from "../../src/panel/toolbar/live_badge";
import type { Action, Row } from "../../src/protocol/panel";
import { BLUEPRINT, DEVBOX, devbox, KINDS, wholeTable } from "./kinds";

const devboxes = new ResourceKind(DEVBOX);
const blueprints = new ResourceKind(BLUEPRINT);

describe("actions", () => {
  const names = (actions: readonly Action[]) => actions.map(({ name }) => name).join(" ");

  test.each([
    ["running", "console terminal", "use logs suspend shutdown"],
    ["suspended", "resume", "use logs shutdown"],
    ["shutdown", "logs", ""],
  ])("of one that is %s", (status, primary, more) => {
    const found = byFrequency(devboxes, devbox("d1", { status }));
    expect([names(found.primary), names(found.more)]).toEqual([primary, more]);
  });

  test("one that is not possible says why", () => {
    const [use] = DEVBOX.actions as [Action];
    expect(barrier(use, devboxes, devbox("d1", { status: "shutdown" }))).toBe("Not while it is shut down");
    expect(barrier(use, devboxes, devbox("d1"))).toBe("");
  });

  test.each([
    ["shutdown", 3, 3, "Shut down…"],
    ["shutdown", 2, 3, "Shut down 2…"],
    ["suspend", 1, 3, "Suspend 1"],
    ["suspend", 0, 3, "Suspend"],
  ])("%s for %d of %d", (name, fit, all, label) => {
    const action = DEVBOX.actions.find((each) => each.name === name) as Action;
    expect(labelFor(action, fit, all)).toBe(label);
  });
});

describe("cells", () => {
  const NOW = 10_000_000;
  const store = { now: () => NOW, sourceName: (id: string) => (id ? `name of ${id}` : "") };

  test.each<[string, Row, string]>([
    ["created", devbox("d", { created: NOW - 120_000 }), "2 min ago"],
    ["created", devbox("d", { created: NOW + 50_000 }), "just now"],
    ["ended", devbox("d", { ended: NOW - 60_000, reason: "idle" }), "1 min ago: idle"],
    ["ended", devbox("d", { until: NOW + 7_200_000 }), "in 2 h"],
    ["ended", devbox("d", { until: NOW - 5 }), "in 0 min"],
    ["ended", devbox("d", { until: NOW, withKernel: "with this kernel" }), "with this kernel"],
    ["ended", devbox("d"), ""],
    ["source", devbox("d", { source: "b1" }), "name of b1"],
    ["size", devbox("d", { size: "large" }), "large"],
    ["id", devbox("d7"), "d7"],
  ])("%s of %j", (key, row, wanted) => {
    expect(new CellTexts(devboxes, store).text(devboxes.column(key) as Column, row)).toBe(wanted);
  });

  test.each<[Row, string]>([
    [["b", "n", "building", NOW - 2000, null], "2.0 s so far"],
    [["b", "n", "running", NOW - 2000, null], ""],
    [["b", "n", "built", NOW - 9000, NOW - 4000], "5.0 s"],
    [["b", "n", "built", null, null], ""],
  ])("how long %j took", (row, wanted) => {
    expect(new CellTexts(blueprints, store).text(blueprints.column("lasted") as Column, row)).toBe(wanted);
  });

  test("the title of an end is the exact time and the text", () => {
    const title = new CellTexts(devboxes, store).title(devboxes.column("ended") as Column, devbox("d", { until: NOW }));
    expect(title).toBe(`${new Date(NOW).toLocaleString()} · in 0 min`);
  });
});

describe("columns", () => {
  test.each([
    [2000, "name status created ended source size id"],
    [700, "name status created ended"],
    [320, "name status"],
    [100, "name status"],
  ])("in %d pixels", (room, wanted) => {
    expect(
      fittingColumns(devboxes.columns, {}, room)
        .map(({ key }) => key)
        .join(" "),
    ).toBe(wanted);
  });

  test("a wider one leaves less room", () => {
    expect(fittingColumns(devboxes.columns, { status: 300 }, 700).map(({ key }) => key)).toEqual(["name", "status"]);
  });

  test("tracks", () => {
    const shown = devboxes.columns.slice(0, 2);
    expect(tracks(shown, { status: 99 })).toBe("34px minmax(120px, 190fr) minmax(60px, 99px) 36px");
  });

  test.each([
    [10, 60],
    [99, 99],
    [5000, 800],
  ])("a width of %d", (width, wanted) => expect(boundedWidth(width)).toBe(wanted));
});

describe("keys", () => {
  const plain = { ctrlKey: false, metaKey: false, shiftKey: false, altKey: false };

  test.each([
    [" ", {}, "toggle"],
    ["Enter", {}, "open"],
    ["a", {}, null],
    ["a", { ctrlKey: true }, "select all"],
    ["A", { metaKey: true }, "select all"],
    ["Delete", {}, "remove"],
    ["Delete", { ctrlKey: true }, null],
    ["F10", {}, null],
    ["F10", { shiftKey: true }, "menu"],
    ["ContextMenu", {}, "menu"],
    ["/", {}, "search"],
    ["Enter", { altKey: true }, null],
  ])("%s with %j", (key, held, wanted) => expect(commandFor({ ...plain, ...held, key })).toBe(wanted));

  test.each([
    ["d", false, true],
    ["s", true, false],
    ["c", true, true],
    ["Enter", false, true],
  ])("%s (with Control: %s) is ours: %s", (key, ctrlKey, wanted) => {
    expect(isOurs({ key, ctrlKey, metaKey: false })).toBe(wanted);
  });

  const closed = { menuOrDialog: false, searchText: false, pane: false, selection: false };
  test.each([
    [{ menuOrDialog: true, pane: true }, "nothing"],
    [{ searchText: true, pane: true }, "search"],
    [{ pane: true, selection: true }, "pane"],
    [{ selection: true }, "selection"],
    [{}, "cell"],
  ])("Escape with %j", (open, wanted) => expect(escapeTarget({ ...closed, ...open })).toBe(wanted));
});

describe("selection", () => {
  const order = ["a", "b", "c", "d"];

  test.each([
    ["down", "b", "d", ["b", "c", "d"]],
    ["up", "c", "a", ["a", "b", "c"]],
    ["from one that is gone", "z", "c", ["c"]],
  ])("a range %s", (_, from, to, wanted) => {
    const selection = new Selection(() => {});
    selection.begin(from);
    selection.extend(to, order);
    expect(selection.all).toEqual(wanted);
  });

  test("tells of its changes, and forgets what is gone without a word", () => {
    let changes = 0;
    const selection = new Selection(() => changes++);
    selection.toggle("a");
    selection.toggle("b");
    selection.toggle("a");
    selection.keep((id) => id !== "b");
    expect([selection.all, changes]).toEqual([[], 3]);
  });
});

describe("filters", () => {
  const store = new Store(KINDS);
  const rows = [devbox("1"), devbox("2"), devbox("3", { status: "shutdown" })];
  store.takeTable(wholeTable("devbox", rows));
  const said = (chosen: string | null, kind = devboxes) =>
    filtersOf(kind, store.table(kind.name), chosen, false).map(({ label, count }) => `${label} ${count}`);

  test("live, all and each status", () => {
    expect(said(null)).toEqual(["Live 2", "All 3", "running 2", "shut down 1"]);
    expect(liveCount(devboxes, store.table("devbox"))).toBe(2);
  });

  test("the chosen one stays when nothing has it", () => expect(said("suspended").at(-1)).toBe("suspended 0"));
  test("what does not end has no live ones", () => expect(said("", blueprints)).toEqual(["All 0"]));
  test("what has no status has no filters", () =>
    expect(said("", new ResourceKind({ ...BLUEPRINT, columns: [["name", "Name", "text", 1, 0]] }))).toEqual([]));
});

test.each([
  [{ loading: false, error: "" }, false, "Live"],
  [{ loading: true, error: "" }, false, "Loading"],
  [{ loading: true, error: "no" }, false, "Not live"],
  [{ loading: false, error: "" }, true, "Not live"],
])("%j, lost: %s, looks %s", (health, lost, label) => {
  expect(liveLook({ ...health, retry: null }, lost)[2]).toBe(label);
});

test.each([
  [null, ""],
  [5000, "Trying again in 4 s."],
  [1200, "Trying again…"],
])("the countdown to %j", (retry, wanted) => expect(countdown(retry, 1000)).toBe(wanted));

test.each([
  [["Status", "SHUTDOWN", "text"], "shut down"],
  [["Size", 2048, "bytes"], "2.0 kB"],
  [["Lives", 90, "seconds"], "1 min"],
  [["ID", "d1", "id"], "d1"],
] as const)("the fact %j", (fact, wanted) => expect(factText([...fact])).toBe(wanted));

test("what stands between backticks is code", () => {
  expect(parts("Type `%devbox create`.")).toEqual([
    { code: false, content: "Type " },
    { code: true, content: "%devbox create" },
    { code: false, content: "." },
  ]);
});
