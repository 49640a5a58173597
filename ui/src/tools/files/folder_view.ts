import { h, setText } from "../../dom/elements";
import { icon } from "../../dom/icons";
import type { Entry } from "../../protocol/files";
import { emptyFolder, folderSummary } from "./entry_words";
import { FolderList } from "./folder_list";
import { nextOrder, type Order, type SortKey, shownEntries } from "./folder_order";
import type { FolderAction } from "./keys";

const COLUMNS: readonly [SortKey, string][] = [
  ["name", "Name"],
  ["size", "Size"],
  ["changed", "Changed"],
];

/** A folder: the heads that sort it, and its entries. */
export class FolderView {
  readonly element: HTMLElement;
  readonly heads: HTMLElement;
  readonly list: FolderList;
  private readonly empty = h("div", { class: "rl-tool-empty", hidden: true });
  private readonly buttons: Map<SortKey, HTMLButtonElement>;
  private order: Order = { key: "name", descending: false };
  private withHidden = false;
  private entries: readonly Entry[] = [];
  private more = 0;
  private isKnown = false;

  constructor(
    label: string,
    on: { active: () => void; action: (action: Exclude<FolderAction, "jump">) => boolean },
    private readonly onSummary: (text: string) => void,
  ) {
    this.list = new FolderList(label, on);
    this.buttons = new Map(COLUMNS.map(([key, title]) => [key, this.head(key, title)]));
    this.heads = h("div", { class: "rl-heads", role: "group", "aria-label": "Sort" }, ...this.buttons.values());
    this.element = h("div", { class: "rl-folder" }, this.list.element, this.empty);
    this.updateHeads();
  }

  /** Show what a folder has; the entry `active` gets the keyboard. */
  update(folder: { path: string; entries: readonly Entry[]; more: number }, active: string): void {
    this.isKnown = folder.path !== "";
    this.entries = folder.entries;
    this.more = folder.more;
    this.show(active);
  }

  setWithHidden(on: boolean): void {
    this.withHidden = on;
    this.show();
  }

  private show(active = this.list.active?.[0] ?? ""): void {
    const shown = shownEntries(this.entries, this.order, this.withHidden);
    const hidden = this.entries.length - shown.length;
    this.empty.hidden = shown.length > 0 || !this.isKnown;
    setText(this.empty, emptyFolder(hidden));
    this.onSummary(folderSummary(shown.length, hidden, this.more));
    this.list.update(shown, active);
  }

  private head(key: SortKey, title: string): HTMLButtonElement {
    const onclick = () => {
      this.order = nextOrder(this.order, key);
      this.updateHeads();
      this.show();
    };
    const label = `Sort by ${title.toLowerCase()}`;
    const properties = { type: "button", class: `rl-head-button rl-entry-${key}`, "aria-label": label, onclick };
    return h("button", properties, h("span", {}, title));
  }

  private updateHeads(): void {
    for (const [key, head] of this.buttons) {
      const sorts = key === this.order.key;
      head.setAttribute("aria-pressed", String(sorts));
      head.querySelector("svg")?.remove();
      if (sorts) head.append(icon(this.order.descending ? "down" : "up"));
    }
  }
}
