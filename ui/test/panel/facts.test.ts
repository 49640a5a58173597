// @vitest-environment happy-dom
import { expect, test } from "vitest";
import { factList } from "../../src/panel/details/facts";
import type { Fact } from "../../src/protocol/panel";

const NAMES: Record<string, string> = { bpt_1: "science" };
const CONTEXT = { say: () => {}, nameOf: (id: string) => NAMES[id] ?? id };

test.each<[string, Fact, string, string | null]>([
  ["a source with a name", ["Blueprint", "bpt_1", "id"], "science", "bpt_1"],
  ["a source without a name, or one that is not known", ["Snapshot", "snp_9", "id"], "snp_9", null],
  ["the resource itself", ["ID", "bpt_1", "id"], "bpt_1", null],
  ["a text that looks like an id", ["Message", "bpt_1", "text"], "bpt_1", null],
])("%s is called %s", (_, fact, shown, title) => {
  const value = factList([fact], CONTEXT).querySelector("dd")?.firstElementChild;
  expect([value?.textContent, value?.getAttribute("title") ?? null]).toEqual([shown, title]);
});
