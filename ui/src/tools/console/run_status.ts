import { button, h, setText } from "../../dom/elements";
import { exactSpan } from "../../format/times";
import type { State } from "../../protocol/console";

/** The state of the command that runs, how long it has run, and the button that stops it. */
export class RunStatus {
  readonly element: HTMLElement;
  running = false;
  private readonly status = h("span", { class: "rl-run-status", role: "status" });
  private readonly clock = h("span", { class: "rl-run-clock", "aria-hidden": "true" });
  private readonly stop: HTMLButtonElement;
  private readonly timer = setInterval(() => this.tick(), 1000);
  private since = 0; // milliseconds of the page's clock
  private outcome = "";

  constructor(onStop: () => void) {
    this.stop = button("Stop", onStop, { shape: "stop" });
    this.element = h("span", { class: "rl-run" }, this.status, this.clock, this.stop);
    this.update({ running: false, stopping: false, seconds: 0 });
  }

  update({ running, stopping, seconds }: Omit<State, "op">): void {
    this.running = running;
    this.since = performance.now() - seconds * 1000;
    this.status.classList.toggle("rl-runs", running);
    this.stop.hidden = !running;
    const title = stopping ? "Give up: do not wait for its end" : "Stop (Ctrl+C)";
    this.stop.title = title;
    this.stop.setAttribute("aria-label", title);
    if (this.stop.lastElementChild) setText(this.stop.lastElementChild, stopping ? "Give up" : "Stop");
    setText(this.status, !running ? this.outcome : stopping ? "stopping …" : "running");
    this.tick();
  }

  /** How the last command ended, which is shown until the next one runs. */
  setOutcome(outcome: string): void {
    this.outcome = outcome;
    if (!this.running) setText(this.status, outcome);
  }

  close(): void {
    clearInterval(this.timer);
  }

  private tick(): void {
    const elapsed = Math.floor((performance.now() - this.since) / 1000);
    setText(this.clock, this.running ? runningTime(elapsed) : "");
  }
}

/** The time that a command has run, in whole seconds. */
export function runningTime(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : exactSpan(seconds * 1000);
}
