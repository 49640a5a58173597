// @vitest-environment happy-dom

import type { NotebookPanel } from "@jupyterlab/notebook";
import { Signal } from "@lumino/signaling";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LOST, LostViews, PAUSE, VIEW } from "../../src/lab/lost_views";

let asked = 0;
let revived: string[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  [asked, revived] = [0, []];
});
afterEach(() => void vi.useRealTimers());

/** A notebook with an output for each of these texts, whose kernel has these models. */
function notebookOf(outputs: readonly [id: string, text: string, mimeType?: string][], models: readonly string[]) {
  const owner = {} as NotebookPanel["sessionContext"];
  const [kernelChanged, statusChanged] = [new Signal(owner), new Signal(owner)];
  const kernel = {
    requestCommInfo: async () => {
      asked++;
      return { content: { status: "ok", comms: Object.fromEntries(models.map((id) => [id, {}])) } };
    },
  };
  const cells = outputs.map(([id, text, mimeType = VIEW]) => {
    const node = Object.assign(document.createElement("div"), { textContent: text });
    const renderer = { mimeType, node, removeClass: () => {}, renderModel: async () => void revived.push(id) };
    const widgets = [{ children: () => [{ node: document.createElement("div") }, renderer] }];
    return { outputArea: { model: { get: () => ({ data: { [VIEW]: { model_id: id } } }) }, widgets } };
  });
  const notebook = {
    content: { widgets: [{}, ...cells] }, // the first is of Markdown
    sessionContext: { kernelChanged, statusChanged, session: { kernel } },
    disposed: new Signal(owner),
  };
  return { notebook: notebook as unknown as NotebookPanel, kernelChanged, statusChanged };
}

async function wait(): Promise<void> {
  await vi.advanceTimersByTimeAsync(PAUSE);
}

test.each<[string, [string, string, string?], string[], string[]]>([
  ["one whose model the kernel has is made again", ["m1", LOST], ["m1"], ["m1"]],
  ["one of a kernel that is no more stays as it is", ["m1", LOST], ["m2"], []],
  ["one that is shown stays as it is", ["m1", "a panel"], ["m1"], []],
  ["one that waits still is left alone", ["m1", "Loading widget..."], ["m1"], []],
  ["a text that reads like the message stays as it is", ["m1", LOST, "text/plain"], ["m1"], []],
])("%s", async (_, output, models, wanted) => {
  new LostViews(notebookOf([output], models).notebook);
  await wait();
  expect(revived).toEqual(wanted);
});

test("a notebook that lacks nothing asks its kernel nothing, however often that works", async () => {
  const { notebook, statusChanged } = notebookOf([["m1", "a panel"]], ["m1"]);
  new LostViews(notebook);
  for (let turn = 0; turn < 20; turn++) {
    statusChanged.emit(undefined);
    await wait();
  }
  expect(asked).toBe(0);
});

test("to ask the kernel makes it work, which does not go on for ever", async () => {
  const { notebook, statusChanged } = notebookOf(
    [
      ["m1", LOST],
      ["m2", LOST],
    ],
    ["m2"],
  );
  new LostViews(notebook);
  for (let turn = 0; turn < 50; turn++) {
    await wait();
    statusChanged.emit(undefined);
  }
  expect([asked, revived.length]).toEqual([5, 5]);
});

test("another kernel is asked anew", async () => {
  const { notebook, kernelChanged } = notebookOf([["m1", LOST]], []);
  new LostViews(notebook);
  await wait();
  kernelChanged.emit(undefined);
  await wait();
  expect(asked).toBe(2);
});
