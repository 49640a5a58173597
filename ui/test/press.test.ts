// @vitest-environment happy-dom
import { beforeEach, expect, test } from "vitest";
import { PressGuard } from "../src/dom/press";

let element: HTMLElement;
let guard: PressGuard;
let done: string[];

const fire = (target: EventTarget, type: string) => target.dispatchEvent(new Event(type, { bubbles: true }));
const settle = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  element = document.body.appendChild(document.createElement("div"));
  guard = new PressGuard(element);
  done = [];
});

test("without a press a change is made at once", () => {
  guard.apply(() => done.push("now"));
  expect(done).toEqual(["now"]);
});

test.each(["pointerup", "pointercancel"])(
  "it waits for %s, and for the click after it; the last change counts",
  async (end) => {
    fire(element, "pointerdown");
    guard.apply(() => done.push("first"));
    guard.apply(() => done.push("last"));
    expect(done).toEqual([]);
    fire(document, end);
    element.addEventListener("click", () => done.push("click"));
    fire(element, "click");
    await settle();
    expect(done).toEqual(["click", "last"]);
  },
);

test("a press elsewhere holds nothing back", () => {
  fire(document.body, "pointerdown");
  guard.apply(() => done.push("now"));
  expect(done).toEqual(["now"]);
});

test("a second press that begins before the change holds it back again", async () => {
  fire(element, "pointerdown");
  guard.apply(() => done.push("held"));
  fire(document, "pointerup");
  fire(element, "pointerdown");
  await settle();
  expect(done).toEqual([]);
  fire(document, "pointerup");
  await settle();
  expect(done).toEqual(["held"]);
});
