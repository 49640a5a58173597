// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Model, Received, RenderOptions } from "../../src/model";
import { ConsoleTool } from "../../src/tools/console/console_tool";
import { FilesTool } from "../../src/tools/files/files_tool";
import { LogsTool } from "../../src/tools/logs/logs_tool";
import type { Tool } from "../../src/tools/tool_frame";

/** A kernel that has all that a tool shows, and that forgets its views when it is told to. */
class Kernel implements Pick<Model, "get" | "send" | "on" | "off"> {
  views: string[] = [];
  private take: (content: Received, buffers: readonly DataView[]) => void = () => undefined;

  constructor(private readonly snapshot: readonly Received[]) {}

  get(): string {
    return "Tool of analysis";
  }

  send(content: unknown): void {
    const { op, view } = content as { op: string; view: string };
    if (op !== "hello") return;
    this.views.push(view);
    for (const event of this.snapshot) this.take({ ...event, view, at: 0 }, []);
  }

  on(_: string, take: (content: Received, buffers: readonly DataView[]) => void): void {
    this.take = take;
  }

  off(): void {
    this.take = () => undefined;
  }

  forget(): void {
    this.take({ op: "hello_wanted", view: this.views.at(-1) }, []);
  }
}

const CONSOLE = [
  { op: "snapshot", pieces: [["stdout", "printed once\n"]], history: [] },
  { op: "state", running: false, stopping: false, seconds: 0 },
];
const LOGS = [
  { op: "state", state: "live" },
  { op: "snapshot", limit: 100 },
  { op: "lines", lines: [[0, "exec", "line", "info", "printed once"]] },
];
const FILES = [
  { op: "listing", path: "/home", entries: [["once.txt", "file", 1, 0, ""]], more: 0 },
  { op: "preview_closed" },
  { op: "transfers", transfers: [] },
];

let place: HTMLElement;

beforeEach(() => {
  place = document.createElement("div");
  document.body.append(place);
  Object.defineProperty(HTMLElement.prototype, "clientHeight", { configurable: true, value: 300 });
});
afterEach(() => place.remove());

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

describe("after a computer's sleep a tool says hello again and shows all there is, once", () => {
  it.each<[string, (options: RenderOptions) => Tool, readonly Received[]]>([
    ["console", (options) => new ConsoleTool(options), CONSOLE],
    ["logs", (options) => new LogsTool(options), LOGS],
    ["files", (options) => new FilesTool(options), FILES],
  ])("%s", async (_, open, snapshot) => {
    const kernel = new Kernel(snapshot);
    const tool = open({ model: kernel as unknown as Model, el: place });
    await frame();
    kernel.forget();
    await frame();
    expect(new Set(kernel.views).size).toBe(2);
    expect(place.textContent?.split("once").length).toBe(2);
    tool.close();
    expect(place.textContent).toBe("");
  });
});
