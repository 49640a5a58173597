import { button, h, setText } from "../../dom/elements";
import { icon } from "../../dom/icons";
import type { Filter } from "./log_store";

export interface LogBarOptions {
  onSearch: (wanted: string) => void;
  /** To the next hit, or the one before. */
  onStep: (step: 1 | -1) => void;
  onOnlyFound: (on: boolean) => void;
  onFilter: (filter: Filter) => void;
  onPause: () => void;
}

/** The fields with which lines are searched, filtered and held. */
export class LogBar {
  readonly elements: HTMLElement[];
  private readonly search = h("input", {
    type: "search",
    class: "rl-log-search",
    placeholder: "Search",
    "aria-label": "Search: Enter goes to the next, Shift+Enter to the one before",
  });
  private readonly count = h("span", { class: "rl-log-count", "aria-live": "polite" });
  private readonly filter = h("select", { "aria-label": "Show" });
  private readonly only: HTMLButtonElement;
  private readonly pause: HTMLButtonElement;
  private readonly sources = new Set<string>();

  constructor(private readonly options: LogBarOptions) {
    this.only = button("Only matches", () => this.toggleOnly(), {
      title: "Show only the lines in which the search is found",
      "aria-pressed": "false",
    });
    this.pause = button("Pause", () => options.onPause(), { "aria-pressed": "false" });
    this.filter.append(h("option", { value: "" }, "All"), h("option", { value: "errors" }, "Errors"));
    this.filter.addEventListener("change", () => options.onFilter(filterOf(this.filter.value)));
    this.search.addEventListener("input", () => options.onSearch(this.search.value));
    this.search.addEventListener("keydown", (event) => this.searchKey(event));
    this.elements = [this.search, this.count, this.only, this.filter, this.pause];
    this.updatePause(false, 0);
  }

  startSearch(): void {
    this.search.focus();
    this.search.select();
  }

  updateCount(words: string): void {
    setText(this.count, words);
  }

  updatePause(paused: boolean, held: number): void {
    const label = !paused ? "Pause" : held ? `Go on · ${held} new` : "Go on";
    this.pause.replaceChildren(icon(paused ? "play" : "pause"), h("span", {}, label));
    this.pause.title = label;
    this.pause.setAttribute("aria-label", label);
    this.pause.setAttribute("aria-pressed", String(paused));
  }

  /** Offer to show the lines of these sources alone. */
  offerSources(sources: Iterable<string>): void {
    for (const source of sources) {
      if (this.sources.has(source)) continue;
      this.sources.add(source);
      this.filter.append(h("option", { value: `:${source}` }, source));
    }
  }

  private toggleOnly(): void {
    const on = this.only.getAttribute("aria-pressed") !== "true";
    this.only.setAttribute("aria-pressed", String(on));
    this.options.onOnlyFound(on);
  }

  private searchKey(event: KeyboardEvent): void {
    if (event.key === "Enter") {
      this.options.onStep(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape" && this.search.value) {
      this.search.value = "";
      this.options.onSearch("");
    } else {
      return;
    }
    event.preventDefault();
  }
}

/** The filter that an option of the field stands for; those of sources begin with a colon. */
export function filterOf(value: string): Filter {
  if (value.startsWith(":")) return { by: "source", source: value.slice(1) };
  return { by: value === "errors" ? "errors" : "all" };
}
