import { button, h, setText, text } from "../../dom/elements";
import { icon } from "../../dom/icons";
import type { Health } from "../../protocol/panel";

/** A sentence about the whole panel; empty for none. */
export class SentenceBanner {
  readonly element = h("div", { class: "rl-banner rl-wait", role: "status", hidden: true });
  private sentence = "";

  update(sentence: string): void {
    if (sentence === this.sentence) return;
    this.sentence = sentence;
    this.element.hidden = !sentence;
    this.element.replaceChildren(icon("warn", "warn"), text(sentence));
  }
}

/** Why resources cannot be looked at, when it is tried again, and a button to do so now. */
export class HealthBanner {
  readonly element = h("div", { class: "rl-banner", role: "alert", hidden: true });
  private readonly countdown = h("span", { class: "rl-quiet", "aria-hidden": "true" });
  private error = "";

  constructor(private readonly retry: () => void) {}

  update(health: Health, lost: boolean, now: number): void {
    this.element.hidden = !health.error || lost;
    if (health.error && health.error !== this.error) {
      const label = health.error.includes("press Start") ? "Start" : "Try now";
      const again = button(label, this.retry, { kind: "rl-flat" });
      this.element.replaceChildren(icon("warn", "bad"), text(health.error), this.countdown, again);
    }
    this.error = health.error;
    setText(this.countdown, countdown(health.retry, now));
  }
}

/** When it is tried again; empty where that is not known. Times are milliseconds since 1970. */
export function countdown(retry: number | null, now: number): string {
  if (retry === null) return "";
  const seconds = Math.round((retry - now) / 1000);
  return seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again…";
}
