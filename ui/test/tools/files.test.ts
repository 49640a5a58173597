import { describe, expect, it } from "vitest";
import type { Entry, Request, Transfer } from "../../src/protocol/files";
import {
  emptyFolder,
  entrySize,
  folderSummary,
  lastName,
  removal,
  spokenEntry,
} from "../../src/tools/files/entry_words";
import { nextOrder, type Order, shownEntries } from "../../src/tools/files/folder_order";
import { folderAction } from "../../src/tools/files/keys";
import { transferAmount, transferPart } from "../../src/tools/files/transfer_amounts";
import { TypeAhead } from "../../src/tools/files/type_ahead";
import { Uploads } from "../../src/tools/files/uploads";

const ENTRIES: Entry[] = [
  ["file10", "file", 5, 300, ""],
  ["file9", "file", 50, 100, ""],
  ["zoo", "directory", 4096, 200, ""],
  [".hidden", "file", 1, 400, ""],
  ["link", "symlink", 3, 50, "zoo"],
];

describe("the order of a folder", () => {
  it.each<[Order, boolean, string[]]>([
    [{ key: "name", descending: false }, false, ["zoo", "file9", "file10", "link"]],
    [{ key: "name", descending: true }, false, ["zoo", "link", "file10", "file9"]],
    [{ key: "size", descending: true }, false, ["zoo", "file9", "file10", "link"]],
    [{ key: "changed", descending: true }, true, ["zoo", ".hidden", "file10", "file9", "link"]],
  ])("%o", (order, withHidden, names) => {
    expect(shownEntries(ENTRIES, order, withHidden).map(([name]) => name)).toEqual(names);
  });

  it.each<[Order, Order["key"], Order]>([
    [{ key: "name", descending: false }, "name", { key: "name", descending: true }],
    [{ key: "name", descending: false }, "size", { key: "size", descending: true }],
    [{ key: "size", descending: true }, "size", { key: "size", descending: false }],
    [{ key: "size", descending: true }, "name", { key: "name", descending: false }],
  ])("%o, a press on %s", (order, key, next) => {
    expect(nextOrder(order, key)).toEqual(next);
  });
});

describe("words", () => {
  it("an entry", () => {
    expect(entrySize(["f", "file", 1500, 0, ""])).toBe("1.5 kB");
    expect(entrySize(["d", "directory", 4096, 0, ""])).toBe("");
    expect(spokenEntry(["l", "symlink", 3, 0, "target"])).toMatch(/^l, Link, to target, /);
  });

  it("a folder", () => {
    expect(folderSummary(1, 0, 0)).toBe("1 entry");
    expect(folderSummary(2, 3, 4)).toBe("2 entries · 3 hidden · 4 more are not shown");
    expect(emptyFolder(0)).toContain("empty");
    expect(emptyFolder(2)).toBe("Only hidden files here (2). The eye button shows them.");
    expect(lastName("/home/user")).toBe("user");
  });

  it.each<[Entry, string, string]>([
    [["a", "file", 0, 0, ""], "/", "/a cannot be brought back."],
    [["a", "file", 0, 0, ""], "/b", "/b/a cannot be brought back."],
    [["d", "directory", 0, 0, ""], "/b", "The folder /b/d goes with all that it has. It cannot be brought back."],
  ])("deleting %o", (entry, folder, text) => {
    expect(removal(entry, folder)).toEqual({ title: `Delete ${entry[0]}?`, text });
  });
});

it("finds a name by its first letters, until one stops typing", () => {
  let now = 0;
  const ahead = new TypeAhead(() => now);
  const names = ["alpha", "data", "deep"];
  expect(ahead.find("D", names)).toBe(1);
  now = 500;
  expect(ahead.find("e", names)).toBe(2);
  now = 900;
  expect(ahead.find("q", names)).toBe(-1);
  now = 2000;
  expect(ahead.find("a", names)).toBe(0);
});

describe("a key", () => {
  it.each([
    ["Enter", false, "open"],
    ["Backspace", false, "up"],
    ["Delete", false, "remove"],
    ["Escape", false, "close preview"],
    ["x", false, "jump"],
    ["x", true, null],
    [" ", false, null],
    ["ArrowDown", false, null],
  ])("%s", (key, ctrlKey, action) => {
    expect(folderAction({ key, ctrlKey, metaKey: false, altKey: false })).toBe(action);
  });
});

const transfer = (changes: Partial<Transfer>): Transfer => ({
  key: "k",
  name: "f",
  doing: "Uploading",
  done: 0,
  total: 200,
  received: 0,
  ...changes,
});

describe("how far a transfer is", () => {
  it.each<[Partial<Transfer>, number | null, string]>([
    [{}, 0, "0 % of 200 B"],
    [{ received: 200 }, 0.5, "50 % of 200 B"],
    [{ received: 200, done: 200 }, 1, "100 % of 200 B"],
    [{ doing: "Downloading", done: 50 }, 0.25, "25 % of 200 B"],
    [{ doing: "Downloading", done: 1500, total: 0 }, null, "1.5 kB"],
    [{ doing: "Downloading", done: 999, total: 200 }, 1, "100 % of 200 B"],
  ])("%o", (changes, part, amount) => {
    expect(transferPart(transfer(changes))).toBe(part);
    expect(transferAmount(transfer(changes))).toBe(amount);
  });
});

describe("uploads", () => {
  const MEGABYTES = 5 * 1024 * 1024;

  function started(size: number, replace = true) {
    const sent: Request[] = [];
    const uploads = new Uploads({
      send: (request) => sent.push(request),
      askReplace: async () => replace,
      onProblem: () => undefined,
    });
    uploads.add([new File([new Uint8Array(size)], "big.bin")]);
    const first = sent[0];
    if (first?.op !== "upload") throw new Error("no upload was asked for");
    return { uploads, sent, key: first.key, ops: () => sent.map(({ op }) => op) };
  }

  it("sends no more than the kernel has room for, and all in the end", async () => {
    const { uploads, key, ops } = started(MEGABYTES);
    const sending = uploads.send(key);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const ahead = ops().filter((op) => op === "upload_part").length;
    expect(ahead).toBeLessThan(10);
    const timer = setInterval(() => uploads.update([transfer({ key, received: MEGABYTES })]), 1);
    await sending;
    clearInterval(timer);
    expect(ops().filter((op) => op === "upload_part").length).toBe(10);
    expect(ops().at(-1)).toBe("upload_end");
  });

  it("gives up one that the kernel knows no more", async () => {
    const { uploads, key, ops } = started(MEGABYTES);
    const sending = uploads.send(key);
    uploads.update([]);
    await sending;
    expect(ops()).not.toContain("upload_end");
  });

  it.each([
    [true, ["upload", "upload"]],
    [false, ["upload"]],
  ])("replaces a file only after a yes: %s", async (yes, expected) => {
    const { uploads, sent, key, ops } = started(1, yes);
    await uploads.exists(key, "big.bin");
    expect(ops()).toEqual(expected);
    if (yes) expect(sent.at(-1)).toMatchObject({ key, replace: true });
  });
});
