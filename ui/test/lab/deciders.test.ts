import { describe, expect, test } from "vitest";
import { chipOf } from "../../src/lab/chip_text";
import { advice } from "../../src/lab/link_state";
import { languageOfProgram } from "../../src/lab/programs";
import { indentSteps } from "../../src/lab/shell_indent";

describe("the language of a program", () => {
  test.each([
    ["node", "javascript"],
    ["node --no-warnings", "javascript"],
    ["perl -w", "perl"],
    ["python3 -", "python"],
    ["/usr/bin/python3.12", "python"],
    ["pypy3", "python"],
    ["env -i LANG=C ruby", "ruby"],
    ["sudo bash -e", "bash"],
    ["Rscript -", "r"],
    ["sqlite3 data.db", "sqlite"],
    ["psql", "postgresql"],
    ["unheard-of", "unheard-of"],
    ["", ""],
  ])("%j", (command, language) => {
    expect(languageOfProgram(command)).toBe(language);
  });
});

describe("the indentation of a shell script", () => {
  test.each([
    ["if true; then", "", 1],
    ["for a in b; do # each", "", 1],
    ["else", "", 1],
    ["case $a in", "", 1],
    ["f() {", "", 1],
    ["ls \\", "", 1],
    ["ls", "", 0],
    ["echo done", "done", -1],
    ["if true; then", "fi", 0],
    ["ls", "else", -1],
    ["ls", "}", -1],
    ["ls", "finish", 0],
    ["echo then again", "", 0],
  ])("%j, then %j", (before, line, steps) => {
    expect(indentSteps(before, line)).toBe(steps);
  });
});

describe("the chip", () => {
  test.each([
    [null, "No devbox", "", "No devbox is chosen."],
    [{ name: "web", status: "running" }, "web", "running", "Current devbox: web, running."],
    [{ name: "dbx_1", status: "shutdown" }, "dbx_1", "shutdown", "Current devbox: dbx_1, shut down."],
    [{ name: "web", status: "" }, "web", "unknown", "Current devbox: web, its status cannot be told now."],
  ])("%j", (devbox, name, status, title) => {
    const chip = chipOf(devbox && { op: "current_devbox", id: "dbx_1", ...devbox });
    expect(chip).toEqual({ name, status, title: `${title} Open the Runloop panel.` });
  });
});

describe("what the sidebar says without a panel", () => {
  const loaded = { state: "loaded", isBusy: false, problem: "" } as const;
  test.each([
    [null, "Open a notebook", undefined],
    [{ ...loaded, state: "no kernel" } as const, "has no kernel", undefined],
    [{ ...loaded, state: "other language" } as const, "Python kernel", undefined],
    [{ ...loaded, state: "not loaded" } as const, "not loaded", "Load it"],
    [{ ...loaded, state: "not loaded", problem: "ModuleNotFoundError: x" } as const, "does not have", "Load it"],
    [{ ...loaded, state: "not loaded", problem: "OSError: full" } as const, "OSError: full", "Load it"],
    [loaded, "Opening", undefined],
    [{ ...loaded, isBusy: true }, "busy", undefined],
    [{ ...loaded, problem: "Cannot reach it." }, "Cannot reach it.", "Try again"],
  ])("%j", (known, text, button) => {
    const told = advice(known);
    expect(told.text).toContain(text);
    expect(told.button).toBe(button);
  });
});
