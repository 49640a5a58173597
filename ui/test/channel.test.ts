// @vitest-environment happy-dom
import { beforeEach, expect, test, vi } from "vitest";
import { Channel, type ChannelOptions, type LineState, lineState } from "../src/channel";
import type { Model, Received } from "../src/model";

type Sent = Record<string, unknown>;
type Event = { op: "data"; text: string; data: Uint8Array } | { op: "ended"; text: string };

class Kernel {
  sent: Sent[] = [];
  buffers: (readonly ArrayBufferView[])[] = [];
  private listener: ((content: Received, buffers: readonly DataView[]) => void) | null = null;
  readonly model: Model = {
    get: () => null,
    set: () => {},
    save_changes: () => {},
    send: (content, _, buffers = []) => {
      this.sent.push(content as Sent);
      this.buffers.push(buffers);
    },
    on: (_, callback) => {
      this.listener = callback;
    },
    off: () => {
      this.listener = null;
    },
  };

  post(content: Received, buffers: readonly DataView[] = []): void {
    this.listener?.(content, buffers);
  }

  get last(): Sent {
    return this.sent.at(-1) ?? {};
  }
}

let kernel: Kernel;
let taken: unknown[];
let states: [LineState, string][];
let options: ChannelOptions<Event>;
let channel: Channel<{ op: "type"; data: Uint8Array }, Event>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  vi.stubGlobal(
    "IntersectionObserver",
    class {
      observe() {}
      disconnect() {}
    },
  );
  kernel = new Kernel();
  taken = [];
  states = [];
  options = {
    model: kernel.model,
    element: document.body,
    binary: { type: ["data"], data: ["data"] },
    handlers: { data: ({ text }) => taken.push(text), ended: ({ text }) => taken.push(text) },
    hello: () => ({ kinds: ["devbox"] }),
    onState: (state, text) => states.push([state, text]),
  };
  channel = new Channel(options);
  channel.open();
});

test("it says hello with the widget's own fields", () => {
  expect(kernel.last).toMatchObject({ op: "hello", protocol: 1, n: 0, kinds: ["devbox"] });
});

test("bytes travel beside the message", () => {
  const data = new Uint8Array([1, 2]);
  channel.send({ op: "type", data });
  expect(kernel.last).toEqual({ op: "type", view: kernel.sent[0]?.view, n: 1 });
  expect(kernel.buffers.at(-1)).toEqual([data]);
});

test("events for another view are none of its business", () => {
  kernel.post({ op: "data", view: "other", at: 0, text: "x" });
  expect(taken).toEqual([]);
});

test("a gap is answered by hello, and nothing counts until the snapshot", () => {
  const view = kernel.sent[0]?.view;
  kernel.post({ op: "data", view, at: 0, text: "snapshot" });
  kernel.post({ op: "data", seq: 2, text: "lost one before" });
  kernel.post({ op: "data", seq: 3, text: "too early" });
  expect(kernel.last).toMatchObject({ op: "hello", view, n: 1 });
  kernel.post({ op: "data", view, at: 3, text: "again" });
  kernel.post({ op: "data", seq: 4, text: "next" });
  expect(taken).toEqual(["snapshot", "again", "next"]);
});

test("an event for this view counts though one for all was lost before it, which is asked for", () => {
  const view = kernel.sent[0]?.view;
  kernel.post({ op: "data", view, at: 0, text: "snapshot" });
  kernel.post({ op: "data", view, at: 1, text: "an answer" });
  expect(taken).toEqual(["snapshot", "an answer"]);
  expect(kernel.last).toMatchObject({ op: "hello", view, n: 1 });
});

test("one that was forgotten takes a new name and says hello from the start", () => {
  const view = kernel.sent[0]?.view;
  kernel.post({ op: "hello_wanted", view, at: 9 });
  expect(kernel.last).toMatchObject({ op: "hello", n: 0 });
  expect(kernel.last.view).not.toBe(view);
});

test("what a kernel that has forgotten the view has not done is sent again after the hello", () => {
  const { view } = kernel.last;
  kernel.post({ op: "ack", view, n: 0 });
  const data = new Uint8Array([7]);
  channel.send({ op: "type", data });
  vi.advanceTimersByTime(15_000); // it says that it is alive, which is of no use any more
  kernel.post({ op: "hello_wanted", view, at: 9 });
  expect(kernel.sent.slice(-2)).toMatchObject([
    { op: "hello", n: 0 },
    { op: "type", n: 1 },
  ]);
  expect(kernel.buffers.at(-1)).toEqual([data]);
});

test("it says that it is alive, and goodbye once", () => {
  vi.advanceTimersByTime(30_000);
  expect(kernel.sent.filter(({ op }) => op === "alive")).toHaveLength(2);
  channel.close();
  expect(kernel.last.op).toBe("bye");
  vi.advanceTimersByTime(60_000);
  expect(kernel.last.op).toBe("bye");
});

test("the line tells what it owes, and is open again once that was answered", () => {
  const view = kernel.sent[0]?.view;
  vi.advanceTimersByTime(2000);
  kernel.post({ op: "ack", view, n: 0 });
  kernel.post({ op: "data", view, at: 0, text: "snapshot" });
  channel.send({ op: "type", data: new Uint8Array() });
  vi.advanceTimersByTime(3000);
  vi.advanceTimersByTime(20_000);
  kernel.post({ op: "ack", view, n: 5 });
  expect(states.map(([state]) => state)).toEqual(["waiting", "open", "waiting", "silent", "open"]);
});

test("what came before the view counts as an answer to its hello, and so does what follows", () => {
  const early = [[{ op: "data", at: 1, text: "early" }, []]] as const;
  new Channel({ ...options, early }).open();
  kernel.post({ op: "data", seq: 2, text: "next" });
  kernel.post({ op: "data", view: kernel.last.view, at: 2, text: "snapshot" });
  expect(taken).toEqual(["early", "next", "snapshot"]);
  expect(kernel.sent.map(({ op }) => op)).toEqual(["hello", "hello"]); // one of each view
});

test("one that was lost after what came early is asked for", () => {
  const early = [[{ op: "data", at: 1, text: "early" }, []]] as const;
  new Channel({ ...options, early }).open();
  kernel.post({ op: "data", seq: 3, text: "lost one before" });
  expect(taken).toEqual(["early"]);
  expect(kernel.sent.map(({ op }) => op)).toEqual(["hello", "hello", "hello"]);
});

test("what has ended says why", () => {
  kernel.post({ op: "ended", view: kernel.sent[0]?.view, at: 0, text: "unloaded" });
  expect(states).toEqual([["ended", "unloaded"]]);
  expect(taken).toEqual(["unloaded"]);
});

test.each([
  [{ gone: true, ended: true, started: true, owed: 0 }, "gone"],
  [{ gone: false, ended: true, started: true, owed: 30_000 }, "ended"],
  [{ gone: false, ended: false, started: false, owed: 0 }, "connecting"],
  [{ gone: false, ended: false, started: false, owed: 1501 }, "waiting"],
  [{ gone: false, ended: false, started: true, owed: 20_001 }, "silent"],
  [{ gone: false, ended: false, started: true, owed: 1500 }, "open"],
])("%j is %s", (known, wanted) => expect(lineState(known)).toBe(wanted));
