import { expect, test } from "vitest";
import { rowsInSight, target } from "../src/dom/virtual_list";

test.each([
  ["the top", { top: 0, height: 100, row: 20, count: 1000, spare: 5 }, { first: 0, last: 10 }],
  ["the middle", { top: 2010, height: 100, row: 20, count: 1000, spare: 5 }, { first: 95, last: 111 }],
  ["the end", { top: 19_900, height: 100, row: 20, count: 1000, spare: 5 }, { first: 990, last: 1000 }],
  ["none", { top: 0, height: 100, row: 20, count: 0, spare: 5 }, { first: 0, last: 0 }],
  [
    "a list that became shorter than it is scrolled",
    { top: 900, height: 100, row: 20, count: 3, spare: 5 },
    { first: 40, last: 40 },
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
