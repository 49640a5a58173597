// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Model, Received } from "../../src/model";
import { panelHandlers } from "../../src/panel/events";
import { Panel } from "../../src/panel/panel";
import type { Event, FormOpened, Request, Row } from "../../src/protocol/panel";
import { devbox, KINDS, part, wholeTable } from "./kinds";

let panel: Panel;
let host: HTMLElement;
let sent: Request[];
let kept: Record<string, unknown>;
let inserted: unknown[];

const OVER = "The kernel was restarted or has ended. Run %load_ext runloop_jupyter, then this cell again.";
const FORM: FormOpened = {
  op: "form_opened",
  name: "devbox",
  title: "New devbox",
  submit: "Create",
  about: "",
  fields: [
    { name: "name", label: "Name", form: "text", hint: "a name", options: [], more: false, value: "" },
    { name: "keep", label: "Keep", form: "switch", hint: "", options: [], more: true, value: "yes" },
  ],
};

function modelOf(values: Record<string, unknown>): Model {
  const insertCell = (at: number, cell: unknown) => inserted.push([at, cell]);
  const shows = { cell_type: "code", toJSON: () => ({ outputs: [{ data: { model_id: "m1" } }] }) };
  const context = { model: { sharedModel: { cells: [{ cell_type: "code" }, shows, shows], insertCell } } };
  return {
    get: (name) => values[name],
    set: (name, value) => {
      kept[name] = value;
    },
    save_changes: () => {},
    send: () => {},
    on: () => {},
    off: () => {},
    widget_manager: { context } as NonNullable<Model["widget_manager"]>,
  };
}

/** An event of the kernel. */
function hear(event: Event): void {
  const all = panelHandlers(panel) as Record<string, (event: Received) => unknown>;
  all[event.op]?.(event as unknown as Received);
  vi.advanceTimersByTime(50);
}

function hearRows(rows: readonly Row[], gone: readonly string[] = []): void {
  hear({ op: "rows_changed", kind: "devbox", rows, gone });
}

function open(rows: readonly Row[], layout: Record<string, unknown> = {}): void {
  panel = new Panel(modelOf({ kinds: KINDS, notice: "", layout_state: layout }), host, (request) => sent.push(request));
  const health = { loading: false, error: "", retry: null };
  hear({
    op: "snapshot",
    now: Date.now(),
    kinds: KINDS.map(({ name }) => name),
    current: "d1",
    health: Object.fromEntries(KINDS.map(({ name }) => [name, health])),
    marks: [],
    service: "local",
    tools: [],
    tool: "",
    model: "m1",
  });
  hear(wholeTable("devbox", rows));
}

function all(selector: string): HTMLElement[] {
  return [...host.querySelectorAll<HTMLElement>(selector)];
}

function texts(selector: string): (string | null)[] {
  return all(selector).map((each) => each.textContent);
}

function buttonCalled(label: string): HTMLElement {
  const found = all("button").find((each) => [each.textContent, each.ariaLabel, each.title].includes(label));
  if (!found) throw new Error(`no button is called ${label}`);
  return found;
}

function press(key: string, element: HTMLElement, held: KeyboardEventInit = {}): void {
  element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...held }));
}

beforeEach(() => {
  vi.useFakeTimers();
  HTMLElement.prototype.showPopover = () => {};
  host = document.createElement("div");
  document.body.replaceChildren(host);
  [sent, kept, inserted] = [[], {}, []];
});

afterEach(() => {
  panel.close();
  vi.useRealTimers();
});

test("rows, the numbers on the tabs and the filters follow the kernel", () => {
  open([devbox("d1"), devbox("d2", { status: "shutdown" })]);
  expect(texts(".rl-row:not([hidden]) .rl-name")).toEqual(["d1"]);
  expect(texts(".rl-tab").at(0)).toBe("Devboxes1");
  hearRows([devbox("d3"), devbox("d1", { status: "suspended" })]);
  expect(texts(".rl-row:not([hidden]) .rl-name")).toEqual(["d1", "d3"]);
  expect(texts(".rl-chip")).toEqual(["Live2", "All3", "running1", "shut down1", "suspended1"]);
  expect(texts(".rl-foot")).toEqual(["2 of 3 devboxes"]);
});

test("while rows still come, what is shown says so, and the selection stays", () => {
  open([]);
  hear(part("devbox", [devbox("d1"), devbox("d2", { status: "shutdown" })], { first: true, last: false }));
  expect(texts(".rl-live")).toEqual(["Loading"]);
  expect(texts(".rl-chip")).toEqual(["Live1+", "All2+", "running1+", "shut down1+"]);
  expect(texts(".rl-tab").at(0)).toBe("Devboxes1+");
  expect(texts(".rl-foot")).toEqual(["1 of 2 devboxes so far"]);
  all(".rl-check input")[1]?.closest<HTMLElement>(".rl-check")?.click();
  hear(part("devbox", [devbox("d3")], { first: false, last: true }));
  expect(texts(".rl-foot b")).toEqual(["1 selected"]);
  buttonCalled("Clear").click();
  expect(texts(".rl-live")).toEqual(["Live"]);
  expect(texts(".rl-tab").at(0)).toBe("Devboxes2");
  expect(texts(".rl-foot")).toEqual(["2 of 3 devboxes"]);
});

test("a table without a row to show is not called empty while rows still come", () => {
  open([]);
  hear(part("devbox", [devbox("d1", { status: "shutdown" })], { first: true, last: false }));
  expect(texts(".rl-empty")).toEqual(["Loading devboxes…"]);
  hear(part("devbox", [], { first: false, last: true }));
  expect(texts(".rl-empty p")).toEqual(["No live devbox. 1 devbox ended."]);
});

test("a row keeps its element while others come and go", () => {
  open([devbox("d1", { created: 5 }), devbox("d2", { created: 1 })]);
  const row = all(".rl-row:not([hidden])").at(-1);
  hearRows([devbox("d3", { created: 9 })], ["d1"]);
  expect(all(".rl-row:not([hidden])").at(-1)).toBe(row);
  expect(row?.textContent).toContain("d2");
});

test("text of the service stays text", () => {
  open([devbox("d1", { name: "<img src=x onerror=alert(1)>" })]);
  expect(texts(".rl-name")).toEqual(["<img src=x onerror=alert(1)>"]);
  expect(all("img")).toEqual([]);
});

test("what was typed into a form, and what is wrong with it, survives what comes from the kernel", () => {
  open([devbox("d1")]);
  hear(FORM);
  const [name] = all("[name=name]") as HTMLInputElement[];
  const [keep] = all("[name=keep]") as HTMLInputElement[];
  if (!name || !keep) throw new Error("the form has no fields");
  name.value = "typed";
  name.dispatchEvent(new Event("input", { bubbles: true }));
  keep.checked = false;
  hear({ op: "form_checked", name: "devbox", problems: { name: "taken", keep: "untouched" }, magic: "%devbox create" });
  name.focus();
  hearRows([devbox("d1", { status: "suspended" })]);
  hear(wholeTable("devbox", [devbox("d9")]));
  vi.advanceTimersByTime(3000);
  expect([name.isConnected, name.value, keep.checked]).toEqual([true, "typed", false]);
  expect(document.activeElement).toBe(name);
  expect(texts(".rl-problem")).toEqual(["taken", ""]);
  expect(sent.filter(({ op }) => op === "check_form").at(-1)).toMatchObject({ values: { name: "typed", keep: "" } });
  hear({ op: "form_refused", name: "devbox", text: "no room" });
  expect(texts(".rl-form-problem")).toEqual(["no room"]);
  hear({ op: "form_accepted", name: "devbox" });
  expect(all(".rl-form")).toEqual([]);
});

test("details have a button for what is done most, and a menu for the rest", () => {
  open([devbox("d1")]);
  all(".rl-cell.rl-rich")[0]?.click();
  expect(sent.at(-1)).toEqual({ op: "follow", kind: "devbox", id: "d1" });
  expect(texts(".rl-detail-actions button")).toEqual(["Run a command", "Open terminal", "More"]);
  buttonCalled("More").click();
  expect(texts("[role=menuitem]")).toEqual(["Use", "Logs", "Suspend", "Shut down…"]);
  all("[role=menuitem]")[3]?.click();
  expect(sent.at(-1)).toEqual({ op: "act", kind: "devbox", action: "shutdown", ids: ["d1"] });
  hearRows([devbox("d1", { status: "suspended" })]);
  expect(texts(".rl-detail-actions button")).toEqual(["Resume", "More"]);
});

test("folded parts of the details stay so while they change", () => {
  open([devbox("d1")]);
  panel.side.openDetails("devbox", "d1");
  const details = { op: "details", kind: "devbox", id: "d1", metadata: [], history: [], cells: [], raw: "{}" } as const;
  hear({ ...details, facts: [["Name", "one", "text"]] });
  const [section] = all(".rl-section") as HTMLDetailsElement[];
  if (!section) throw new Error("no section");
  section.open = false;
  hear({ ...details, facts: [["Name", "two", "text"]] });
  expect([texts(".rl-facts dd"), section.open]).toEqual([["two"], false]);
  expect(all(".rl-section:not([hidden])").length).toBe(2);
});

test("an empty table teaches the first step, and inserts it below the panel's cell", async () => {
  open([]);
  expect(texts(".rl-empty code")).toEqual(["%devbox create"]);
  buttonCalled("Insert this cell").click();
  await vi.advanceTimersByTimeAsync(0);
  expect(inserted).toEqual([[2, { cell_type: "code", source: "%devbox create", metadata: {} }]]);
  expect(texts(".rl-toast")).toEqual(["Inserted a cell below this one."]);
});

test("the keyboard selects, opens, leaves", () => {
  const cell = document.createElement("div");
  cell.className = "jp-Cell";
  cell.tabIndex = -1;
  document.body.append(cell);
  cell.append(host);
  open([devbox("d1"), devbox("d2")]);
  const [grid] = all(".rl-grid");
  if (!grid) throw new Error("no table");
  grid.focus();
  for (const key of ["ArrowDown", " "]) press(key, grid);
  expect(texts(".rl-foot b")).toEqual(["1 selected"]);
  press("ArrowDown", grid, { shiftKey: true });
  expect(texts(".rl-foot b")).toEqual(["2 selected"]);
  press("Enter", grid);
  expect(panel.side.details?.id).toBe("d2");
  press("Delete", grid);
  expect(sent.at(-1)).toEqual({ op: "act", kind: "devbox", action: "shutdown", ids: ["d1", "d2"] });
  press("Escape", grid);
  expect([panel.side.details, panel.table.selection.size]).toEqual([null, 2]);
  press("Escape", grid);
  expect(panel.table.selection.size).toBe(0);
  press("Escape", grid);
  expect(document.activeElement).toBe(cell);
});

test("the notebook keeps how the panel is arranged", () => {
  open([devbox("d1", { name: "b" }), devbox("d2", { name: "a" })], { sorts: { devbox: ["name", 1] }, tab: "devbox" });
  expect(texts(".rl-row:not([hidden]) .rl-name")).toEqual(["a", "b"]);
  all(".rl-sort")[0]?.click();
  expect(kept.layout_state).toMatchObject({ sorts: { devbox: ["name", -1] } });
  all(".rl-tab")[2]?.click();
  expect(kept.layout_state).toMatchObject({ tab: "object" });
  expect(sent.at(-1)).toEqual({ op: "want", kinds: ["object"] });
});

test("nothing looks live once the kernel is gone", () => {
  open([devbox("d1", { created: Date.now() - 60_000 })]);
  panel.showLine("gone", "");
  expect(texts(".rl-live")).toEqual(["Not live"]);
  const [before] = texts(".rl-row .rl-form-time");
  vi.advanceTimersByTime(120_000);
  expect(texts(".rl-row .rl-form-time")[0]).toBe(before);
  expect(texts(".rl-wait:not([hidden])")).toEqual([OVER]);
});

test("what the kernel did is not offered once it is gone, and what is tried all the same says why", () => {
  open([devbox("d1")]);
  panel.showLine("gone", "");
  expect(panel.element.classList).toContain("rl-over"); // by which the style sheet hides the buttons
  sent = [];
  all(".rl-more")[0]?.click();
  const barred = all('.rl-menu [aria-disabled="true"]').map((each) => each.textContent);
  expect(barred).toEqual(KINDS[0]?.actions.map(({ label }) => label));
  buttonCalled("New devbox").click();
  expect(sent).toEqual([]);
  expect(texts(".rl-toast").at(-1)).toContain(OVER);
});

test("what comes back is offered again", () => {
  open([devbox("d1")]);
  panel.showLine("silent", "");
  panel.showLine("open", "");
  expect(panel.element.classList).not.toContain("rl-over");
});

test("one sentence at a time says what is wrong: the line's before the kernel's", () => {
  open([]);
  const shown = () => texts(".rl-wait:not([hidden])");
  hear({ op: "problem", text: "The disk is full." });
  expect(shown()).toEqual(["The disk is full."]);
  panel.showLine("waiting", "");
  expect(shown()[0]).toContain("Waiting for the kernel");
  panel.showLine("open", "");
  expect(shown()).toEqual(["The disk is full."]);
  hear({ op: "problem", text: "" });
  expect(shown()).toEqual([]);
});

test("what failed is told, and stands on its row until it is dismissed", () => {
  open([devbox("d1"), devbox("d2")]);
  const marks = [
    ["devbox", "d1", "", "no way"],
    ["devbox", "d2", "", "no way"],
  ] as const;
  hear({ op: "marks_changed", marks: marks.map(([...mark]) => mark) });
  expect(texts(".rl-toast")).toEqual(["d1: no way And 1 more failed: each row says why."]);
  all(".rl-dismiss")[0]?.click();
  expect(sent.at(-1)).toEqual({ op: "dismiss", kind: "devbox", id: "d1" });
});
