import { describe, expect, it } from "vitest";
import { terminalAction } from "../../src/tools/terminal/keys";
import { ReplayGuard } from "../../src/tools/terminal/replay";
import { type ShellState, shellLook } from "../../src/tools/terminal/states";

describe("a key", () => {
  it.each<[string, Partial<KeyboardEvent>, ShellState, string | null]>([
    ["goes to the shell", { key: "a" }, "attached", null],
    ["leaves", { key: "Escape", shiftKey: true }, "attached", "leave"],
    ["Escape alone does not", { key: "Escape" }, "attached", null],
    ["begins a new shell", { key: "Enter" }, "ended", "new shell"],
    ["but not while one runs", { key: "Enter" }, "attached", null],
    ["nor when it was lost", { key: "Enter" }, "lost", null],
    ["copies", { key: "C", code: "KeyC", ctrlKey: true, shiftKey: true }, "attached", "copy"],
    ["Ctrl+C goes to the shell", { key: "c", code: "KeyC", ctrlKey: true }, "attached", null],
    ["only when it goes down", { key: "Escape", shiftKey: true, type: "keyup" }, "attached", null],
  ])("%s", (_, event, state, action) => {
    const key = { type: "keydown", key: "", code: "", ctrlKey: false, shiftKey: false, ...event };
    expect(terminalAction(key, state)).toBe(action);
  });
});

it("answers of the emulator to what is shown again are none, until somebody types or a second is over", () => {
  let now = 0;
  const guard = new ReplayGuard(() => now);
  now = 5000;
  expect(guard.isReplaying).toBe(false);
  guard.begin();
  expect(guard.isReplaying).toBe(true);
  guard.end();
  expect(guard.isReplaying).toBe(false);
  guard.begin();
  now = 6001;
  expect(guard.isReplaying).toBe(false);
});

describe("a state of the shell", () => {
  it.each<[ShellState, boolean, string, string]>([
    ["connecting", false, "Connecting …", ""],
    ["attached", false, "Connected", ""],
    ["attached", true, "Connected; this shell ran on", ""],
    ["detached", false, "Detached", "Connect again"],
    ["ended", false, "The shell has ended", "New shell"],
    ["lost", false, "Not connected", "Connect again"],
  ])("%s, found: %s", (state, found, status, offer) => {
    const look = shellLook(state, found);
    expect([look.status, look.offer, look.sentence !== ""]).toEqual([status, offer, offer !== ""]);
  });
});
