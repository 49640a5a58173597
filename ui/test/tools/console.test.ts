// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { Chunk } from "../../src/tools/console/chunk";
import { History } from "../../src/tools/console/history";
import { type LineNow, lineAction } from "../../src/tools/console/keys";
import { runningTime } from "../../src/tools/console/run_status";
import { CHUNK_CHARACTERS, cutFor, endsOfLine, lineParts, takenBack } from "../../src/tools/console/text_limits";

const key = (name: string, held: string[] = []) => ({
  key: name,
  ctrlKey: held.includes("ctrl"),
  shiftKey: held.includes("shift"),
  altKey: held.includes("alt"),
  metaKey: held.includes("meta"),
});
const line = (value: string, running = false, start = value.length, end = start): LineNow => ({
  running,
  value,
  selectionStart: start,
  selectionEnd: end,
});

describe("a key in the line", () => {
  it.each<[string, ReturnType<typeof key>, LineNow, ReturnType<typeof lineAction>]>([
    ["Enter runs", key("Enter"), line("ls"), "enter"],
    ["Shift+Enter makes a line", key("Enter", ["shift"]), line("ls"), "new line"],
    ["up recalls", key("ArrowUp"), line("ls"), "earlier"],
    ["up within lines moves", key("ArrowUp"), line("a\nb"), null],
    ["up in the first of two lines recalls", key("ArrowUp"), line("a\nb", false, 1), "earlier"],
    ["down recalls", key("ArrowDown"), line("a\nb"), "later"],
    ["down within lines moves", key("ArrowDown"), line("a\nb", false, 0), null],
    ["no recalling while one runs", key("ArrowUp"), line("", true), null],
    ["Ctrl+C stops", key("c", ["ctrl"]), line("", true), "stop"],
    ["Ctrl+C with a capital", key("C", ["ctrl"]), line("", true), "stop"],
    ["Ctrl+C copies a selection", key("c", ["ctrl"]), line("abc", true, 0, 2), null],
    ["Ctrl+C when nothing runs", key("c", ["ctrl"]), line("abc"), null],
    ["Ctrl+Shift+C", key("c", ["ctrl", "shift"]), line("", true), null],
    ["Ctrl+D ends the input", key("d", ["ctrl"]), line("", true), "end input"],
    ["Ctrl+D in a text", key("d", ["ctrl"]), line("x", true), null],
    ["Ctrl+L clears", key("l", ["ctrl"]), line("x"), "clear"],
    ["Page Up scrolls", key("PageUp"), line(""), "page up"],
    ["a letter is typed", key("a"), line(""), null],
  ])("%s", (_, pressed, now, action) => {
    expect(lineAction(pressed, now)).toBe(action);
  });
});

it("goes through the commands from before, and back to what was being typed", () => {
  const history = new History();
  history.reset(["one", "two"]);
  history.add("one"); // moves to the end
  expect(history.recall(-1, "draft")).toBe("one");
  expect(history.recall(-1, "one")).toBe("two");
  expect(history.recall(-1, "two")).toBeNull();
  expect(history.recall(1, "two")).toBe("one");
  expect(history.recall(1, "one")).toBe("draft");
  expect(history.recall(1, "draft")).toBeNull();
  history.recall(-1, "other");
  history.leave();
  expect(history.recall(-1, "")).toBe("one");
});

describe("where a chunk of lines ends", () => {
  it.each<[string, string, number, number, number]>([
    ["after its lines", "a\nb\nc\n", 0, 2, 4],
    ["from further on", "a\nb\nc\n", 2, 1, 4],
    ["at the end of the text", "a\nb", 0, 9, 3],
    ["within a line that never ends", "x".repeat(CHUNK_CHARACTERS + 5), 0, 9, CHUNK_CHARACTERS],
  ])("%s", (_, text, start, lines, end) => {
    expect(cutFor(text, start, lines)).toBe(end);
  });
});

describe("taking lines back", () => {
  it.each<[string, string, number, ReturnType<typeof takenBack>]>([
    ["the last line and what follows", "a\nb\nc", 1, { characters: 2, lines: 1, rest: 0 }],
    ["only what follows the last end", "a\nb\nc", 0, { characters: 4, lines: 2, rest: 0 }],
    ["more than there is", "a\nb", 3, { characters: 0, lines: 0, rest: 2 }],
    ["all of it", "a\nb\n", 2, { characters: 0, lines: 0, rest: 0 }],
    ["a text without an end of line", "abc", 0, { characters: 0, lines: 0, rest: 0 }],
  ])("%s", (_, text, lines, left) => {
    expect(takenBack(text, lines)).toEqual(left);
  });
});

it("a carriage return begins the last line again", () => {
  expect(lineParts("a\nb\rc\n")).toEqual([
    { again: false, ended: "a\n", open: "b" },
    { again: true, ended: "c\n", open: "" },
  ]);
  expect(endsOfLine("a\n\nb")).toBe(2);
});

describe("a chunk of text in the page", () => {
  it.each<[string, string[], string, number]>([
    ["plain", ["a\n", "b"], "a\nb", 1],
    ["a line that is written over", ["part 1", "\rpart 2", "\rend\n"], "end\n", 1],
    ["an end of line in pieces", ["a", "b\nc"], "ab\nc", 1],
    ["colours are no characters", ["\x1b[31mred\x1b[0m plain\n"], "red plain\n", 1],
    ["markup is text", ["<img src=x onerror=1>\n"], "<img src=x onerror=1>\n", 1],
  ])("%s", (_, pieces, text, lines) => {
    const chunk = new Chunk("stdout");
    for (const piece of pieces) chunk.append(piece);
    expect([chunk.text, chunk.lines, chunk.characters]).toEqual([text, lines, text.length]);
  });

  it("has its colours again when a line is written over", () => {
    const chunk = new Chunk("stdout");
    chunk.append("\x1b[31mred");
    chunk.append("\rplain\n");
    expect(chunk.element.querySelector("span")).toBeNull();
    expect(chunk.text).toBe("plain\n");
  });

  it("gives lines back, also within a colour", () => {
    const chunk = new Chunk("stdout");
    chunk.append("one\n\x1b[32mtwo\nthree\n\x1b[0mrest");
    expect(chunk.takeBack(1)).toBe(0);
    expect([chunk.text, chunk.lines, chunk.characters]).toEqual(["one\ntwo\n", 2, 8]);
    chunk.append("new\n");
    expect(chunk.text).toBe("one\ntwo\nnew\n");
    expect(chunk.takeBack(5)).toBe(2);
    expect(chunk.characters).toBe(0);
  });
});

it.each([
  [0, "0 s"],
  [59, "59 s"],
  [61, "1 min 1 s"],
  [3661, "1 h 1 min"],
])("%i seconds of running are %s", (seconds, words) => {
  expect(runningTime(seconds)).toBe(words);
});
