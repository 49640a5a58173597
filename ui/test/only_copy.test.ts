import { afterEach, expect, test, vi } from "vitest";
import { onlyCopy } from "../src/only_copy";

afterEach(() => void vi.unstubAllGlobals());

test("a page uses the first of several equal modules, and another one of another build", () => {
  vi.stubGlobal("BUILD", "1");
  const [first, again, other] = [{}, {}, {}];
  expect(onlyCopy("panel", first)).toBe(first);
  expect(onlyCopy("panel", again)).toBe(first);
  expect(onlyCopy("console", other)).toBe(other);
  vi.stubGlobal("BUILD", "2");
  expect(onlyCopy("panel", again)).toBe(again);
});
