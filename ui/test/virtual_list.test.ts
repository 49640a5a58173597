// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { rowsInSight, target, VirtualList } from "../src/dom/virtual_list";

test.each([
  ["the top", { top: 0, height: 100, row: 20, count: 1000, spare: 5 }, { first: 0, last: 11 }],
  ["the middle", { top: 2010, height: 100, row: 20, count: 1000, spare: 5 }, { first: 95, last: 111 }],
  ["the end", { top: 19_900, height: 100, row: 20, count: 1000, spare: 5 }, { first: 990, last: 1000 }],
  ["none", { top: 0, height: 100, row: 20, count: 0, spare: 5 }, { first: 0, last: 0 }],
  [
    "a list that became shorter than it is scrolled",
    { top: 900, height: 100, row: 20, count: 3, spare: 5 },
    { first: 0, last: 3 },
  ],
])("rows in sight at %s", (_, view, wanted) => expect(rowsInSight(view)).toEqual(wanted));

test.each([
  ["ArrowDown", 4],
  ["ArrowUp", 2],
  ["PageDown", 13],
  ["PageUp", -7],
  ["Home", 0],
  ["End", 99],
  ["a", null],
])("%s leads to %s", (key, wanted) => expect(target(key, { at: 3, page: 10, count: 100 })).toBe(wanted));

const ENTRIES = Array.from({ length: 1000 }, (_, at) => `entry ${at}`);
let list: VirtualList;
let updated: number[];

beforeEach(() => {
  vi.useFakeTimers();
  updated = [];
  list = new VirtualList({
    height: 20,
    label: "Entries",
    key: (index) => ENTRIES[index] as string,
    create: () => document.createElement("div"),
    update: (row, index) => {
      updated.push(index);
      row.textContent = ENTRIES[index] as string;
    },
  });
  document.body.replaceChildren(list.element);
  list.setCount(ENTRIES.length);
  updated = [];
});

afterEach(() => {
  list.close();
  vi.useRealTimers();
});

function scroll(top: number): void {
  list.element.scrollTop = top;
  list.element.dispatchEvent(new Event("scroll"));
}

function rows(): HTMLElement[] {
  return [...list.element.querySelectorAll<HTMLElement>(".rl-row:not([hidden])")];
}

function inOrder(shown: readonly HTMLElement[]): string[] {
  return [...shown].sort((a, b) => Number.parseFloat(a.style.top) - Number.parseFloat(b.style.top)).map(textOf);
}

function textOf({ textContent }: HTMLElement): string {
  return textContent ?? "";
}

test.each([[200], [260], [19_000], [400_000]])(
  "scrolled to %d, the rows in sight are there once, each in its place",
  (top) => {
    scroll(top);
    const { first, last } = rowsInSight({ top: list.element.scrollTop, height: 0, row: 20, count: 1000, spare: 5 });
    expect(inOrder(rows())).toEqual(ENTRIES.slice(first, last));
    for (const row of rows()) expect(row.style.top).toBe(`${ENTRIES.indexOf(textOf(row)) * 20}px`);
  },
);

test("one that scrolls pays for what comes into sight, and nothing is moved in the document", () => {
  scroll(1000);
  const before = rows();
  updated = [];
  const moved = vi.spyOn(Node.prototype, "insertBefore");
  scroll(1040);
  scroll(1040);
  expect(updated).toEqual([56, 57]);
  expect(rows()).toEqual(before);
  expect(moved).not.toHaveBeenCalled();
  moved.mockRestore();
});

test("at rest the rows are read aloud in their order", () => {
  scroll(1000);
  scroll(1060);
  expect(rows().map(textOf)).not.toEqual(inOrder(rows()));
  vi.advanceTimersByTime(200);
  expect(rows().map(textOf)).toEqual(inOrder(rows()));
});

test("a row that is pressed stays where it is until it is released", () => {
  scroll(1000);
  scroll(1060);
  const before = rows();
  before[0]?.dispatchEvent(new Event("pointerdown", { bubbles: true }));
  vi.advanceTimersByTime(1000);
  expect(rows()).toEqual(before);
  document.dispatchEvent(new Event("pointerup"));
  vi.advanceTimersByTime(10);
  expect(rows().map(textOf)).toEqual(inOrder(rows()));
});

test("only the row of the keyboard has a name, and the list tells it while it is in sight", () => {
  list.select(3);
  const named = () => [...list.element.querySelectorAll(".rl-row[id]")].map(({ id, textContent }) => [id, textContent]);
  expect(named()).toEqual([[list.element.getAttribute("aria-activedescendant"), "entry 3"]]);
  scroll(4000);
  expect([named(), list.element.getAttribute("aria-activedescendant")]).toEqual([[], null]);
});
