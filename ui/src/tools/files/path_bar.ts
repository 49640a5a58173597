import { button, h, setAttribute } from "../../dom/elements";
import { icon } from "../../dom/icons";
import type { Entry } from "../../protocol/files";

export interface PathBarOptions {
  onGo: (path: string) => void;
  onHidden: (on: boolean) => void;
  onNewFolder: () => void;
  onDownload: () => void;
  onRemove: () => void;
  onUpload: (files: File[]) => void;
  /** Gives the keyboard to the folder. */
  onLeave: () => void;
}

/** The path of the folder, and the buttons for it and for the entry that is chosen. */
export class PathBar {
  readonly elements: HTMLElement[];
  private readonly field = h("input", {
    type: "text",
    class: "rl-path",
    "aria-label": "Path",
    spellcheck: "false",
    autocomplete: "off",
  });
  private readonly busy = h("span", { class: "rl-files-busy", hidden: true }, icon("spin", "info"));
  private readonly up: HTMLButtonElement;
  private readonly hidden: HTMLButtonElement;
  private readonly download: HTMLButtonElement;
  private readonly remove: HTMLButtonElement;
  private readonly picker = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to upload" });
  private path = "";

  constructor(private readonly options: PathBarOptions) {
    const kind = "rl-flat";
    const title = "Up: the folder above (Backspace)";
    this.up = button("", () => options.onGo(".."), { shape: "up", kind, title });
    const refresh = button("", () => options.onGo("."), { shape: "again", kind, title: "Refresh" });
    this.hidden = button("", () => this.toggleHidden(), {
      shape: "read",
      kind,
      title: "Show hidden files",
      "aria-pressed": "false",
    });
    const make = button("", () => options.onNewFolder(), { shape: "newfolder", kind, title: "New folder" });
    const place = "Download beside the notebook";
    this.download = button("", () => options.onDownload(), { shape: "download", kind, title: place, disabled: true });
    this.remove = button("", () => options.onRemove(), {
      shape: "trash",
      kind,
      title: "Delete… (Delete)",
      "aria-label": "Delete… (Delete)",
      disabled: true,
    });
    const upload = button("Upload", () => this.picker.click(), { shape: "upload", title: "Upload" });
    this.elements = [this.up, this.field, this.busy, refresh, this.hidden, make, this.download, this.remove, upload];
    this.elements.push(this.picker);
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.picker.addEventListener("change", () => this.pick());
  }

  /** Show a path; one that somebody types now stays, as long as the folder is the same. */
  updatePath(path: string): void {
    if (path !== this.path || document.activeElement !== this.field) this.field.value = path;
    this.path = path;
    this.up.disabled = path === "/";
  }

  updateBusy(on: boolean): void {
    this.busy.hidden = !on;
  }

  /** Show what can be done with an entry. */
  updateActive(entry: Entry | undefined): void {
    const focused = [this.download, this.remove].includes(document.activeElement as HTMLButtonElement);
    if (!entry && focused) this.options.onLeave();
    for (const each of [this.download, this.remove]) setAttribute(each, "disabled", !entry);
    this.remove.title = entry ? `Delete ${entry[0]}… (Delete)` : "Delete…";
  }

  private toggleHidden(): void {
    const on = this.hidden.getAttribute("aria-pressed") !== "true";
    this.hidden.setAttribute("aria-pressed", String(on));
    this.options.onHidden(on);
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Enter") this.options.onGo(this.field.value);
    else if (event.key === "Escape") this.field.value = this.path;
    else return;
    this.options.onLeave();
  }

  private pick(): void {
    this.options.onUpload([...(this.picker.files ?? [])]);
    this.picker.value = "";
  }
}
