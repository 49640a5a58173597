import { newId } from "../../channel";
import { h, setAttribute, setText } from "../../dom/elements";
import type { Field, Option } from "../../protocol/panel";

type Input = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** A field of a form, with its label and what is wrong with its value. */
export class FormField {
  readonly element: HTMLElement;
  readonly input: Input;
  private touched = false;
  private readonly problem: HTMLElement;

  constructor(readonly spec: Field) {
    const id = `rl-${newId()}`;
    this.input = inputFor(spec, { id, name: spec.name, "aria-describedby": `${id}-hint ${id}-problem` });
    this.problem = h("span", { class: "rl-problem", id: `${id}-problem` });
    const label = h("label", { for: id }, spec.label);
    const hint = h("span", { class: "rl-hidden", id: `${id}-hint` }, spec.hint);
    const parts = spec.form === "switch" ? [this.input, label] : [label, this.input];
    this.element = h("div", { class: `rl-field rl-field-${spec.form}` }, ...parts, hint, this.problem);
  }

  get value(): string {
    if (this.spec.form === "switch") return (this.input as HTMLInputElement).checked ? "yes" : "";
    return this.input.value;
  }

  get isWrong(): boolean {
    return this.input.hasAttribute("aria-invalid");
  }

  /** From now on it is told what is wrong. */
  touch(): void {
    this.touched = true;
  }

  showProblem(sentence: string): void {
    const shown = this.touched ? sentence : "";
    setText(this.problem, shown);
    setAttribute(this.input, "aria-invalid", shown ? "true" : null);
  }

  focus(): void {
    this.input.closest("details")?.setAttribute("open", "");
    this.input.focus();
  }
}

type Common = { id: string; name: string; "aria-describedby": string };

function inputFor({ form, name, hint, options, value }: Field, common: Common): Input {
  const typed = { ...common, placeholder: hint, spellcheck: "false" };
  switch (form) {
    case "choice":
      return h(
        "select",
        common,
        options.map((each) => option(each, value)),
      );
    case "switch":
      return h("input", { ...common, type: "checkbox", checked: value === "yes" });
    case "lines":
      return withValue(h("textarea", { ...typed, rows: name === "dockerfile" ? 8 : 3 }), value);
    case "hidden":
      return withValue(h("input", { ...typed, type: "password", autocomplete: "new-password" }), value);
    case "text":
      return withValue(h("input", { ...typed, type: "text", autocomplete: "off" }), value);
  }
}

function option([value, label]: Option, chosen: string): HTMLElement {
  return h("option", { value, selected: value === chosen }, label);
}

function withValue<T extends HTMLInputElement | HTMLTextAreaElement>(input: T, value: string): T {
  input.value = value;
  return input;
}
