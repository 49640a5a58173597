import { h, text } from "../../dom/elements";
import { type IconName, icon } from "../../dom/icons";
import type { Health } from "../../protocol/panel";

type Look = readonly [shape: IconName, tone: string, label: string];

/** The look of a table that is up to date, or is not. `lost`: nothing comes from the kernel any more. */
export function liveLook(health: Health, lost: boolean): Look {
  if (lost) return ["ring", "quiet", "Not live"];
  if (health.error) return ["warn", "bad", "Not live"];
  if (health.loading) return ["spin", "info", "Loading"];
  return ["disc", "ok", "Live"];
}

/** Tells whether what is shown is up to date. */
export class LiveBadge {
  readonly element = h("div", { class: "rl-live" });
  private label = "";

  update(health: Health, lost: boolean, service: string): void {
    const [shape, tone, label] = liveLook(health, lost);
    const title = service ? `Connected to ${service}` : "";
    if (this.element.title !== title) this.element.title = title;
    if (label + shape === this.label) return;
    this.label = label + shape;
    this.element.replaceChildren(icon(shape, tone), text(label));
  }
}
