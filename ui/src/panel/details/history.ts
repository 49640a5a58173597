import { h, setText, text } from "../../dom/elements";
import { icon } from "../../dom/icons";
import { statusLook } from "../../format/statuses";
import { exactSpan } from "../../format/times";
import type { Step } from "../../protocol/panel";
import type { ResourceKind } from "../kinds";

/** The states that a resource went through, and how long it was in each. */
export class History {
  readonly element = h("ol", { class: "rl-history" });
  private lasting: { element: HTMLElement; since: number } | null = null;

  constructor(private readonly kind: ResourceKind) {}

  update(steps: readonly Step[]): void {
    this.lasting = null;
    this.element.replaceChildren(...steps.map((_, at) => this.step(steps, at)));
  }

  /** The state that it is in goes on: `now` is in milliseconds since 1970. */
  tick(now: number): void {
    if (this.lasting) setText(this.lasting.element, `for ${exactSpan(now - this.lasting.since)}`);
  }

  private step(steps: readonly Step[], at: number): HTMLElement {
    const [status, time, reason] = steps[at] as Step;
    const next = steps[at + 1]?.[1];
    const isLast = at === steps.length - 1;
    const { shape, tone, label } = statusLook(status);
    const lasted = h("span", { class: "rl-lasted" }, time && next ? exactSpan(next - time) : "");
    if (isLast && time && !this.kind.isEnd(status)) this.lasting = { element: lasted, since: time };
    const mark = isLast || shape !== "spin" ? icon(shape, tone) : icon("ring", "quiet");
    const when = h("time", {}, time ? new Date(time).toLocaleTimeString() : "");
    return h("li", {}, mark, text(reason ? `${label} (${reason})` : label), when, lasted);
  }
}
