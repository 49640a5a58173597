// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import type { LineState } from "../../src/channel";
import { Notices } from "../../src/dom/notices";

const texts = (notices: Notices, selector: string) =>
  [...notices.element.querySelectorAll<HTMLElement>(selector)].map((each) => (each.hidden ? "" : each.textContent));

describe("the state of the line", () => {
  it.each<[LineState, RegExp, boolean]>([
    ["connecting", /^$/, false],
    ["open", /^$/, false],
    ["waiting", /^Waiting for the kernel/, true],
    ["silent", /^No answer from the kernel/, true],
    ["gone", /then this cell again/, false],
    ["ended", /^It was closed\.$/, false],
  ])("%s", (state, sentence, passes) => {
    const notices = new Notices();
    notices.showLine(state, "It was closed.");
    expect(texts(notices, "[role=status]")[0]).toMatch(sentence);
    expect(notices.element.querySelector(".rl-passing") !== null).toBe(passes);
  });
});

it("shows a problem until the next one, or until somebody takes it away", () => {
  const notices = new Notices();
  notices.showProblem("It <b>failed</b>.");
  expect(texts(notices, "[role=alert]")).toEqual(["It <b>failed</b>."]);
  notices.element.querySelector<HTMLButtonElement>("[role=alert] button")?.click();
  expect(texts(notices, "[role=alert]")).toEqual([""]);
  notices.showProblem("Again.");
  notices.showProblem("");
  expect(texts(notices, "[role=alert]")).toEqual([""]);
});
