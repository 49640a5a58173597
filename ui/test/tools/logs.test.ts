import { describe, expect, it } from "vitest";
import type { Line } from "../../src/protocol/logs";
import { logAction } from "../../src/tools/logs/keys";
import { filterOf } from "../../src/tools/logs/log_bar";
import { badge, clock, isError, lineText, spokenLine } from "../../src/tools/logs/log_line";
import { LogStore } from "../../src/tools/logs/log_store";
import { Query } from "../../src/tools/logs/query";

const NOON = new Date(2026, 0, 2, 12, 3, 4, 5).getTime();
const line = (text: string, { source = "exec", kind = "line", level = "info" } = {}): Line =>
  [NOON, source, kind, level, text] as Line;

describe("a line of a failure", () => {
  it.each<[string, Line, boolean]>([
    ["plain", line("error in the text only"), false],
    ["level error", line("x", { level: "error" }), true],
    ["level fatal", line("x", { level: "fatal" }), true],
    ["exit code 0", line("exit code 0", { kind: "exit" }), false],
    ["exit code 10", line("exit code 10", { kind: "exit" }), true],
  ])("%s", (_, each, expected) => {
    expect(isError(each)).toBe(expected);
  });
});

it("is shown, copied and read aloud with its time and its source", () => {
  const warning = line("low on disk", { source: "system", level: "warn" });
  expect(clock(NOON)).toBe("12:03:04.005");
  expect(lineText(warning)).toBe("12:03:04.005 system low on disk");
  expect(spokenLine(warning)).toBe("12:03:04.005, system, warn: low on disk");
  expect(badge(line("ls", { kind: "command", level: "debug" }))).toBe("");
});

describe("what is searched for", () => {
  it.each<[string, string, string, string[]]>([
    ["nothing", "", "abc", ["abc"]],
    ["whatever the case", "AB", "xabyAb", ["x", "[ab]", "y", "[Ab]"]],
    ["signs are no pattern", "a.c(", "abc( a.c(", ["abc( ", "[a.c(]"]],
    ["not there", "q", "abc", ["abc"]],
    ["letters whose case has another length", "x", "İİx", ["İİ", "[x]"]],
  ])("%s", (_, wanted, text, parts) => {
    const query = new Query(wanted);
    expect(query.parts(text).map((part) => (part.marked ? `[${part.text}]` : part.text))).toEqual(parts);
    expect(query.finds(text)).toBe(parts.some((part) => part.startsWith("[")));
  });
});

function store(...texts: string[]): LogStore {
  const made = new LogStore();
  made.reset(5);
  made.add(texts.map((text) => line(text)));
  return made;
}
const texts = (made: LogStore) => made.rows().map(([, , , , text]) => text);

it("keeps the last lines", () => {
  const made = store("1", "2", "3", "4");
  expect(made.add(["5", "6"].map((text) => line(text)))).toBe(true);
  expect(made.dropped).toBe(1);
  expect(texts(made)).toEqual(["2", "3", "4", "5", "6"]);
  made.add([line("7")]);
  expect(made.dropped).toBe(1);
  made.reset(5);
  expect(made.isEmpty).toBe(true);
});

it("holds lines back while paused", () => {
  const made = store("1");
  made.pause();
  expect(made.add([line("2"), line("3")])).toBe(false);
  expect([made.count, made.heldCount]).toEqual([1, 2]);
  made.goOn();
  expect(texts(made)).toEqual(["1", "2", "3"]);
  made.pause();
  made.add([line("4")]);
  made.clear();
  made.goOn();
  expect(texts(made)).toEqual([]);
});

describe("steps through the hits", () => {
  it.each([
    ["the next", 1, 1, 3],
    ["around the end", 3, 1, 1],
    ["the one before", 3, -1, 1],
    ["around the beginning", 1, -1, 3],
    ["from no line, the first", -1, 1, 1],
    ["from no line, the last", -1, -1, 3],
  ])("%s", (_, from, step, to) => {
    const made = store("a", "hit", "b", "HIT", "c");
    made.setQuery("hit");
    expect(made.hitFrom(from, step)).toBe(to);
  });

  it("counts them", () => {
    const made = store("a", "hit", "b", "HIT", "c");
    expect(made.hitCount(0)).toBe("");
    made.setQuery("hit");
    expect([made.hitCount(-1), made.hitCount(3)]).toEqual(["2", "2 of 2"]);
    made.setOnlyFound(true);
    expect(texts(made)).toEqual(["hit", "HIT"]);
    made.setQuery("nowhere");
    expect([made.hitCount(-1), made.hitFrom(-1, 1)]).toEqual(["none", -1]);
  });
});

describe("a filter", () => {
  it.each([
    ["", ["from a", "from b", "failed"]],
    ["errors", ["failed"]],
    [":a", ["from a", "failed"]],
    [":errors", []],
  ])("%s", (value, expected) => {
    const made = new LogStore();
    made.reset(9);
    made.add([line("from a", { source: "a" }), line("from b", { source: "b" })]);
    made.add([line("failed", { source: "a", level: "error" })]);
    made.setFilter(filterOf(value));
    expect(texts(made)).toEqual(expected);
  });
});

describe("a key", () => {
  it.each([
    ["F3", [], false, "next"],
    ["F3", ["shift"], false, "previous"],
    ["g", ["ctrl"], false, "next"],
    ["G", ["meta", "shift"], false, "previous"],
    ["f", ["ctrl"], false, "search"],
    ["/", [], true, "search"],
    ["/", [], false, null],
    [" ", [], true, "pause"],
    [" ", [], false, null],
    ["a", [], true, null],
  ])("%s %s", (key, held, inList, action) => {
    const [ctrlKey, metaKey, shiftKey] = ["ctrl", "meta", "shift"].map((each) => held.includes(each as never));
    const pressed = { key, ctrlKey: !!ctrlKey, metaKey: !!metaKey, shiftKey: !!shiftKey };
    expect(logAction(pressed, inList)).toBe(action);
  });
});
