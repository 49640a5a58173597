import { expect, test } from "vitest";
import { idOf, ResourceKind } from "../../src/panel/kinds";
import { Arrangement, type Sort } from "../../src/panel/table/arrangement";
import type { Row } from "../../src/protocol/panel";
import { BLUEPRINT, DEVBOX, devbox } from "./kinds";

const NAMES: Record<string, string> = { b1: "Science", b2: "art" };
const STORE = { now: () => 1000, sourceName: (id: string) => NAMES[id] ?? id };

function arranged(rows: readonly Row[], sort: Sort, kind = DEVBOX): Arrangement {
  const made = new Arrangement(new ResourceKind(kind), STORE);
  made.sort = sort;
  made.status = "";
  made.arrange(rows);
  return made;
}

function ids({ shown }: Arrangement): string {
  return shown.map(idOf).join(" ");
}

const ROWS = [
  devbox("d1", { name: "beta", size: "large", created: 30, until: 900, source: "b2" }),
  devbox("d2", { name: "Alpha", size: "x-small", created: 10, ended: 50, status: "shutdown", source: "b1" }),
  devbox("d3", { name: null, size: "medium", created: 20, status: "suspended" }),
  devbox("d4", { name: "beta", size: "small", created: 40, until: 100, status: "provisioning" }),
];

test.each<[Sort, string]>([
  [["name", 1], "d3 d2 d1 d4"],
  [["name", -1], "d1 d4 d2 d3"],
  [["created", -1], "d4 d1 d3 d2"],
  [["size", 1], "d2 d4 d3 d1"],
  [["ended", 1], "d2 d4 d1 d3"],
  [["source", 1], "d3 d4 d1 d2"],
  [["status", 1], "d4 d1 d2 d3"],
])("sorted by %j", (sort, wanted) => expect(ids(arranged(ROWS, sort))).toBe(wanted));

test("spans that go on are compared with those that are over", () => {
  const rows = [
    ["b1", "one", "building", 500, null],
    ["b2", "two", "build_complete", 0, 600],
    ["b3", "three", "failed", null, null],
  ];
  expect(ids(arranged(rows, ["lasted", 1], BLUEPRINT))).toBe("b3 b1 b2");
});

test("the newest are first, and those that have ended are left out, until somebody says otherwise", () => {
  const made = new Arrangement(new ResourceKind(DEVBOX), STORE);
  made.arrange(ROWS);
  expect(ids(made)).toBe("d4 d1 d3");
});

test.each([
  ["BETA", "d1 d4"],
  ["beta large", "d1"],
  ["scien", "d2"],
  ["d3", "d3"],
  ["  ", "d1 d2 d3 d4"],
  ["nothing", ""],
])("a search for %j", (search, wanted) => {
  const made = arranged(ROWS, ["id", 1]);
  made.search = search;
  made.filter();
  expect(ids(made)).toBe(wanted);
});

test.each([
  ["running", "d1"],
  ["shutdown", "d2"],
  ["", "d1 d2 d3 d4"],
  [null, "d1 d3 d4"],
])("the filter %j", (status, wanted) => {
  const made = arranged(ROWS, ["id", 1]);
  made.status = status;
  made.filter();
  expect(ids(made)).toBe(wanted);
});

/** Numbers that look random and are the same each time. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (state * 1103515245 + 12345) % 2147483648;
    yield state;
  }
}

const STATUSES = ["running", "suspended", "shutdown"];
const SORTS: Sort[] = [
  ["name", 1],
  ["created", -1],
  ["source", 1],
  ["ended", -1],
];

test.each(SORTS)("changes lead to the same as sorting anew, by %s %d", (...sort) => {
  const random = numbers(7);
  const draw = (below: number) => random.next().value % below;
  const row = (id: string) =>
    devbox(id, {
      name: `n${draw(5)}`,
      status: STATUSES[draw(3)] ?? "",
      created: draw(9),
      source: ["b1", "b2", ""][draw(3)] ?? "",
      until: draw(4),
    });
  const rows = new Map(Array.from({ length: 60 }, (_, at) => [`d${at}`, row(`d${at}`)]));
  const made = arranged([...rows.values()], sort);
  made.status = null;
  made.search = "n1";
  made.filter();
  for (let step = 0; step < 200; step++) {
    const id = `d${draw(80)}`;
    const before = rows.get(id);
    const after = draw(4) ? row(id) : undefined;
    if (after) rows.set(id, after);
    else rows.delete(id);
    made.apply({ added: after ? [after] : [], removed: before ? [before] : [] });
    const anew = arranged([...rows.values()], sort);
    anew.status = null;
    anew.search = "n1";
    anew.filter();
    expect(ids(made)).toBe(ids(anew));
  }
});

test("many changes at once", () => {
  const made = arranged(ROWS, ["id", 1]);
  const added = Array.from({ length: 300 }, (_, at) => devbox(`e${at + 100}`));
  made.apply({ added, removed: [ROWS[0] as Row] });
  expect(made.shown.length).toBe(303);
  expect(ids(made).startsWith("d2 d3 d4 e100 e101")).toBe(true);
});

test("whatever is typed letter by letter, deleted, filtered and changed, the rows are those of a search anew", () => {
  const texts = ["b", "be", "bet", "beta", "beta ", "beta l", "beta", "be", "", "d3", "a", "al", "l", "lp"];
  const made = arranged(ROWS, ["created", 1]);
  const rows = new Map(ROWS.map((row) => [idOf(row), row]));
  for (let turn = 0; turn < 200; turn++) {
    made.search = texts[(turn * 5 + (turn >> 3)) % texts.length] as string;
    made.status = ["", "", "", null, "running"][(turn >> 2) % 5] as string | null;
    made.filter();
    if (turn % 3 === 0) {
      const id = `d${1 + (turn % 6)}`;
      const row = devbox(id, { name: texts[turn % texts.length] as string, created: turn % 7 });
      made.apply({ added: [row], removed: rows.has(id) ? [rows.get(id) as Row] : [] });
      rows.set(id, row);
    }
    const anew = new Arrangement(new ResourceKind(DEVBOX), STORE);
    Object.assign(anew, { sort: ["created", 1], status: made.status, search: made.search });
    anew.arrange(rows.values());
    expect([turn, ids(made)]).toEqual([turn, ids(anew)]);
  }
});
