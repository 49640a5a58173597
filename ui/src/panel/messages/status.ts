import { type LineState, lineText } from "../../channel";
import type { Health } from "../../protocol/panel";
import type { Store } from "../store";
import { LiveBadge } from "../toolbar/live_badge";
import { HealthBanner, SentenceBanner } from "./banners";

const LOST: ReadonlySet<LineState> = new Set(["silent", "gone", "ended"]);

/** All that says whether the panel is up to date, and why it is not. */
export class Status {
  readonly live = new LiveBadge();
  /** What the kernel says about itself. */
  readonly problem = new SentenceBanner();
  /** True once nothing comes from the kernel: what is shown is as it was then. */
  isLost = false;
  readonly banners: readonly HTMLElement[];
  private readonly line = new SentenceBanner();
  private readonly health: HealthBanner;

  constructor(
    private readonly store: Store,
    notice: string,
    retry: () => void,
  ) {
    this.health = new HealthBanner(retry);
    const lasting = new SentenceBanner();
    lasting.update(notice);
    const banners = [this.health, this.line, this.problem, lasting];
    this.banners = banners.map(({ element }) => element);
  }

  showLine(state: LineState, text: string): void {
    this.isLost = LOST.has(state);
    this.line.update(lineText(state, text));
  }

  update(health: Health): void {
    this.live.update(health, this.isLost, this.store.service);
    this.health.update(health, this.isLost, this.store.now());
  }
}
