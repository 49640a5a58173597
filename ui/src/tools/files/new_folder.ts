import { button, h } from "../../dom/elements";

/** The field for the name of a new folder. */
export class NewFolder {
  readonly element: HTMLElement;
  private readonly field = h("input", {
    type: "text",
    "aria-label": "Name of the new folder",
    placeholder: "Name of the new folder",
    autocomplete: "off",
    spellcheck: "false",
  });

  constructor(
    private readonly onMake: (name: string) => void,
    private readonly onEnd: () => void,
  ) {
    const make = button("Make", () => this.make(), { kind: "rl-primary" });
    const cancel = button("Cancel", () => this.end());
    this.element = h("div", { class: "rl-new-folder", hidden: true }, this.field, make, cancel);
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.make(); // JupyterLab takes Enter from forms
      if (event.key === "Escape") this.end();
    });
  }

  start(): void {
    this.element.hidden = false;
    this.field.value = "";
    this.field.focus();
  }

  end(): void {
    this.element.hidden = true;
    this.onEnd();
  }

  private make(): void {
    this.onMake(this.field.value);
  }
}
