// @vitest-environment happy-dom
import { beforeEach, expect, it } from "vitest";
import type { Piece } from "../../src/protocol/console";
import { Output } from "../../src/tools/console/output";
import { CHUNK_LINES, MOST_CHARACTERS, MOST_LINES } from "../../src/tools/console/text_limits";

let output: Output;
let ends: boolean[];

beforeEach(() => {
  ends = [];
  output = new Output("Output", (isAtEnd) => ends.push(isAtEnd));
  document.body.replaceChildren(output.element);
});

async function shown(...pieces: Piece[]): Promise<string> {
  output.add(pieces);
  await new Promise((resolve) => requestAnimationFrame(resolve));
  await new Promise((resolve) => requestAnimationFrame(resolve));
  return output.text;
}

it("keeps streams and remarks in their order", async () => {
  const text = await shown(["command", "make"], ["stdout", "a\n"], ["stderr", "b\n"], ["bad", "exit code 1"]);
  expect(text).toBe("$ make\na\nb\n✗ exit code 1");
  const kinds = [...output.element.querySelectorAll(".rl-remark")].map((each) => each.getAttribute("data-kind"));
  expect(kinds).toEqual(["command", "bad"]);
});

it("takes lines back over the ends of chunks, but no further than the last remark", async () => {
  const lines = Array.from({ length: CHUNK_LINES + 5 }, (_, index) => `${index}\n`).join("");
  await shown(["command", "seq"], ["stdout", lines]);
  expect(await shown(["back", "7"], ["stdout", "new\n"])).toMatch(/\n247\nnew$/);
  expect(await shown(["back", "9999"], ["stdout", "all\n"])).toBe("$ seq\nall");
});

it("keeps a colour over the end of a chunk", async () => {
  await shown(["stdout", `\x1b[31m${"red\n".repeat(CHUNK_LINES + 1)}`]);
  expect(output.element.querySelectorAll(".rl-printed").length).toBe(2);
  expect([...output.element.querySelectorAll("span")].every((span) => span.style.color !== "")).toBe(true);
});

it("lets the oldest go", async () => {
  const text = await shown(["stdout", Array.from({ length: 3 * MOST_LINES }, (_, index) => `${index}\n`).join("")]);
  const lines = text.split("\n");
  expect(lines.length).toBeLessThanOrEqual(MOST_LINES);
  expect(lines.length).toBeGreaterThan(MOST_LINES - 2 * CHUNK_LINES);
  expect(lines.at(-1)).toBe(String(3 * MOST_LINES - 1));
});

it("bounds a line that never ends", async () => {
  const text = await shown(["stdout", "y".repeat(3 * MOST_CHARACTERS)]);
  expect(text.length).toBeLessThan(1.1 * MOST_CHARACTERS);
});

it("tells when its end goes out of sight, and when it is there again by whatever way", () => {
  const { element } = output;
  Object.defineProperties(element, { scrollHeight: { value: 1000 }, clientHeight: { value: 100 } });
  const scrollTo = (top: number) => {
    element.scrollTop = top;
    element.dispatchEvent(new Event("scroll"));
  };
  scrollTo(200);
  scrollTo(300);
  expect(ends).toEqual([false]);
  output.toEnd();
  element.dispatchEvent(new Event("scroll"));
  expect(ends).toEqual([false, true]);
  scrollTo(200);
  output.clear();
  expect(ends).toEqual([false, true, false, true]);
});
