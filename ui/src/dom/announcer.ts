import { h } from "./elements";

const SAID_FOR = 1500; // milliseconds

/** Says sentences to those who listen to the page, and shows nothing. */
export class Announcer {
  readonly element = h("div", { class: "rl-hidden", role: "status" });
  private timer: ReturnType<typeof setTimeout> | undefined;

  readonly say = (sentence: string): void => {
    this.element.textContent = sentence;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.element.replaceChildren(), SAID_FOR);
  };

  close(): void {
    clearTimeout(this.timer);
  }
}
