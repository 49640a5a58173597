import { button, h, setText, text } from "../../dom/elements";
import type { FormChecked, FormOpened, FormRefused } from "../../protocol/panel";
import type { Context } from "../context";
import type { Pane } from "../pane";
import { FormField } from "./field";

const PAUSE = 150; // milliseconds after a key until what was typed is checked

/** A form. Its values go to the kernel, which says what is wrong with them, and what a cell would do the same by. */
export class FormPane implements Pane {
  readonly element: HTMLElement;
  private readonly fields: ReadonlyMap<string, FormField>;
  private readonly form: HTMLFormElement;
  private readonly problem = h("p", { class: "rl-form-problem", role: "alert", hidden: true });
  private readonly magic = h("code");
  private readonly submit: HTMLButtonElement;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly spec: FormOpened,
    private readonly context: Context,
    cancel: () => void,
  ) {
    this.fields = new Map(spec.fields.map((field) => [field.name, new FormField(field)]));
    this.submit = h("button", { type: "submit", class: "rl-button rl-primary" }, text(spec.submit));
    this.form = h(
      "form",
      { class: "rl-form", novalidate: true, autocomplete: "off", onsubmit: (event: Event) => this.send(event) },
      this.problem,
      this.elements(false),
      spec.fields.some(({ more }) => more) && h("details", {}, h("summary", {}, "More"), this.elements(true)),
      this.cell(),
      h("div", { class: "rl-form-end" }, button("Cancel", cancel), this.submit),
    );
    for (const type of ["input", "change"]) this.form.addEventListener(type, (event) => this.changed(event));
    this.element = h(
      "div",
      { class: "rl-pane-body" },
      spec.about && h("p", { class: "rl-about" }, spec.about),
      this.form,
    );
    this.check();
  }

  get name(): string {
    return this.spec.name;
  }

  close(): void {
    clearTimeout(this.timer);
  }

  focus(): void {
    const [first] = this.fields.values();
    (first?.input ?? this.submit).focus();
  }

  showChecked({ problems, magic }: FormChecked): void {
    setText(this.magic, magic);
    for (const [name, field] of this.fields) field.showProblem(problems[name] ?? "");
  }

  showRefusal({ text: sentence }: FormRefused): void {
    this.submit.disabled = false;
    this.problem.hidden = !sentence;
    setText(this.problem, sentence);
    const wrong = [...this.fields.values()].find((field) => field.isWrong);
    (wrong ?? this.submit).focus();
  }

  private elements(more: boolean): HTMLElement[] {
    return [...this.fields.values()].filter(({ spec }) => spec.more === more).map(({ element }) => element);
  }

  private cell(): HTMLElement {
    const secret = this.spec.fields.some(({ form }) => form === "hidden");
    const lead = secret ? "In a cell, which asks for the value:" : "The same in a cell:";
    const shown = h("pre", { tabindex: "0", role: "group", "aria-label": "The same in a cell" }, this.magic);
    const insert = () => this.context.insert(this.magic.textContent ?? "");
    return h(
      "div",
      { class: "rl-magic" },
      text(lead),
      shown,
      button("Insert cell", insert, { shape: "insert", kind: "rl-flat" }),
    );
  }

  private get values(): Record<string, string> {
    return Object.fromEntries([...this.fields].map(([name, field]) => [name, field.value]));
  }

  private changed(event: Event): void {
    this.fields.get((event.target as HTMLInputElement).name)?.touch();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), PAUSE);
  }

  private check(): void {
    this.context.send({ op: "check_form", name: this.name, values: this.values });
  }

  private send(event: Event): void {
    event.preventDefault();
    clearTimeout(this.timer);
    for (const field of this.fields.values()) field.touch();
    this.submit.disabled = true;
    this.problem.hidden = true;
    this.context.send({ op: "submit_form", name: this.name, values: this.values });
  }
}
