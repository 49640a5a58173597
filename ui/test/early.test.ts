import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { listenEarly, takeEarly } from "../src/early";
import type { Model, Received } from "../src/model";

type Listener = (content: Received, buffers: readonly DataView[]) => void;

let listeners: Set<Listener>;

function modelOf(id: string): Model {
  return {
    get: () => id,
    set: () => {},
    save_changes: () => {},
    send: () => {},
    on: (_, listener) => listeners.add(listener),
    off: (_, listener) => listeners.delete(listener),
  };
}

function hear(op: string): void {
  for (const listener of listeners) listener({ op }, []);
}

const taken = (model: Model) => takeEarly(model).map(([{ op }]) => op);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
  listeners = new Set();
});

afterEach(() => void vi.useRealTimers());

test("the first view of a widget takes what came before it, and no other does", () => {
  const model = modelOf("one");
  listenEarly({ model });
  hear("snapshot");
  hear("table");
  expect(taken(modelOf("another"))).toEqual([]);
  expect(taken(model)).toEqual(["snapshot", "table"]);
  expect(listeners.size).toBe(0);
  hear("rows_changed");
  expect(taken(model)).toEqual([]);
});

test("what came long ago may not be true any more", () => {
  const model = modelOf("two");
  listenEarly({ model });
  hear("snapshot");
  vi.advanceTimersByTime(4000);
  hear("table");
  vi.advanceTimersByTime(2000);
  expect(taken(model)).toEqual(["table"]);
});
