import { type LineState, lineText } from "../channel";
import { button, h, setText, text } from "./elements";
import { icon } from "./icons";

/** The sentences above a widget's content: the state of its line to the kernel, and what went wrong. */
export class Notices {
  readonly element: HTMLElement;
  private readonly line = h(
    "div",
    { class: "rl-banner rl-wait", role: "status", hidden: true },
    icon("warn", "warn"),
    text(),
  );
  private readonly problem: HTMLElement;

  constructor() {
    const dismiss = button("", () => this.showProblem(""), { shape: "cross", kind: "rl-flat", title: "Dismiss" });
    this.problem = h(
      "div",
      { class: "rl-banner rl-problem", role: "alert", hidden: true },
      icon("warn", "bad"),
      text(),
      dismiss,
    );
    this.element = h("div", { class: "rl-notices" }, this.line, this.problem);
  }

  /** Tell of the line to the kernel, where nothing comes on it now; `ended` is the kernel's own sentence. */
  showLine(state: LineState, ended: string): void {
    show(this.line, lineText(state, ended));
    this.line.classList.toggle("rl-passing", state === "waiting" || state === "silent");
  }

  /** Show a sentence until the next one; an empty one takes it away. */
  showProblem(sentence: string): void {
    show(this.problem, sentence);
  }
}

function show(banner: HTMLElement, sentence: string): void {
  banner.hidden = !sentence;
  const words = banner.querySelector("span");
  if (words) setText(words, sentence);
}
