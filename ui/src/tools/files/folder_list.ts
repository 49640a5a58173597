import { h, setText } from "../../dom/elements";
import { icon } from "../../dom/icons";
import { VirtualList } from "../../dom/virtual_list";
import type { Entry } from "../../protocol/files";
import { entrySize, entryTime, spokenEntry } from "./entry_words";
import { type FolderAction, folderAction } from "./keys";
import { TypeAhead } from "./type_ahead";

const ROW = 26; // pixels

/** The entries of a folder; those in sight are in the page. */
export class FolderList {
  readonly element: HTMLElement;
  private readonly list: VirtualList;
  private readonly typeAhead = new TypeAhead();
  private entries: readonly Entry[] = [];

  constructor(
    label: string,
    private readonly on: { active: () => void; action: (action: Exclude<FolderAction, "jump">) => boolean },
  ) {
    this.list = new VirtualList({
      height: ROW,
      label,
      create: newRow,
      update: (row, index) => this.updateRow(row, index),
      onActive: () => this.on.active(),
    });
    this.element = this.list.element;
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("mousedown", (event) => this.press(event));
  }

  /** The entry that the keyboard is on. */
  get active(): Entry | undefined {
    return this.entries[this.list.active];
  }

  focus(): void {
    this.element.focus({ preventScroll: true });
  }

  /** Show entries; the one of this name gets the keyboard. */
  update(entries: readonly Entry[], active: string): void {
    this.entries = entries;
    this.list.active = entries.findIndex(([name]) => name === active);
    this.list.setCount(entries.length);
    if (this.list.active >= 0) this.list.select(this.list.active);
    else this.on.active();
  }

  toTop(): void {
    this.list.scrollTo(0);
  }

  close(): void {
    this.list.close();
  }

  private key(event: KeyboardEvent): void {
    const action = folderAction(event);
    if (action === null) return;
    if (action === "jump") this.jump(event.key);
    else if (!this.on.action(action)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  private jump(key: string): void {
    const names = this.entries.map(([name]) => name);
    const found = this.typeAhead.find(key, names);
    if (found >= 0) this.list.select(found);
  }

  private press(event: MouseEvent): void {
    const row = (event.target as Element).closest<HTMLElement>(".rl-entry");
    if (!row) return;
    event.preventDefault();
    this.focus();
    this.list.select(Number(row.dataset.index));
    if (event.detail === 2) this.on.action("open");
  }

  private updateRow(row: HTMLElement, index: number): void {
    const entry = this.entries[index];
    if (!entry) return;
    const [name, kind, , , target] = entry;
    const [picture, names, size, changed] = row.children as unknown as [Element, HTMLElement, Element, Element];
    row.title = target ? `${name} → ${target}` : name;
    row.dataset.index = String(index);
    row.dataset.kind = kind;
    row.setAttribute("aria-label", spokenEntry(entry));
    picture.replaceWith(icon(kind === "directory" ? "folder" : kind === "symlink" ? "link" : "file"));
    names.replaceChildren(h("span", {}, name));
    if (target) names.append(h("span", { class: "rl-entry-target" }, ` → ${target}`));
    setText(size, entrySize(entry));
    setText(changed, entryTime(entry));
  }
}

function newRow(): HTMLElement {
  const cells = ["name", "size", "changed"].map((name) => h("span", { class: `rl-entry-${name}` }));
  return h("div", { class: "rl-entry" }, icon("file"), ...cells);
}
