// @vitest-environment happy-dom
import { beforeEach, expect, test } from "vitest";
import { addStyleSheet } from "../src/dom/style_sheet";

function sheets(place: ParentNode): (string | null)[] {
  return [...place.querySelectorAll("style")].map((style) => style.textContent);
}

beforeEach(() => document.head.replaceChildren());

test("a page has the style sheet of each widget once", () => {
  addStyleSheet(document.createElement("div"), "panel", ".a {}");
  const [style] = document.head.children;
  addStyleSheet(document.createElement("div"), "panel", ".a {}");
  addStyleSheet(document.createElement("div"), "console", ".b {}");
  expect(sheets(document.head)).toEqual([".a {}", ".b {}"]);
  expect(document.head.children[0]).toBe(style);
});

test("that of another version takes its place", () => {
  addStyleSheet(document.createElement("div"), "panel", ".a {}");
  addStyleSheet(document.createElement("div"), "panel", ".a { color: red }");
  expect(sheets(document.head)).toEqual([".a { color: red }"]);
});

test("a widget in a shadow tree, as in marimo, has it there", () => {
  const outside = document.createElement("div");
  const root = outside.attachShadow({ mode: "open" });
  const host = document.createElement("div");
  root.append(host);
  addStyleSheet(host, "panel", ".a {}");
  expect([sheets(root), sheets(document.head)]).toEqual([[".a {}"], []]);
});
