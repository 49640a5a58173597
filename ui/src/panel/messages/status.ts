import { type LineState, lineText } from "../../channel";
import type { Health } from "../../protocol/panel";
import type { Store } from "../store";
import { LiveBadge } from "../toolbar/live_badge";
import { HealthBanner, SentenceBanner } from "./banners";

const LOST: ReadonlySet<LineState> = new Set(["silent", "gone", "ended"]);
const OVER: ReadonlySet<LineState> = new Set(["gone", "ended"]);

/** All that says whether the panel is up to date, and why it is not. */
export class Status {
  readonly live = new LiveBadge();
  /** True once nothing comes from the kernel: what is shown is as it was then. */
  isLost = false;
  /** Why the kernel will never do anything again; empty as long as it may. */
  over = "";
  readonly banners: readonly HTMLElement[];
  private readonly sentence = new SentenceBanner();
  private readonly health: HealthBanner;
  private line = "";
  private problem = "";

  constructor(
    private readonly store: Store,
    notice: string,
    retry: () => void,
  ) {
    this.health = new HealthBanner(retry);
    const lasting = new SentenceBanner();
    lasting.update(notice);
    const banners = notice ? [this.health, this.sentence, lasting] : [this.health, this.sentence];
    this.banners = banners.map(({ element }) => element);
  }

  showLine(state: LineState, text: string): void {
    this.isLost = LOST.has(state);
    this.line = lineText(state, text);
    this.over = OVER.has(state) ? this.line : "";
    this.sentence.update(this.line || this.problem);
  }

  /** Show what the kernel says about itself; an empty sentence takes it away. */
  showProblem(sentence: string): void {
    this.problem = sentence;
    this.sentence.update(this.line || this.problem);
  }

  update(health: Health): void {
    this.live.update(health, this.isLost, this.store.service);
    this.health.update(health, this.isLost, this.store.now());
  }
}
