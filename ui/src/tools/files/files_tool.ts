import { type Channel, newId } from "../../channel";
import { confirm } from "../../dom/dialog";
import { onDrop } from "../../dom/drop";
import { h, setText } from "../../dom/elements";
import type { RenderOptions } from "../../model";
import { BINARY, type Event, type Listing, type Preview, type Request, type Transfers } from "../../protocol/files";
import { type Tool, ToolFrame } from "../tool_frame";
import { lastName, removal } from "./entry_words";
import { FolderView } from "./folder_view";
import type { FolderAction } from "./keys";
import { NewFolder } from "./new_folder";
import { PathBar } from "./path_bar";
import { PreviewPane } from "./preview_pane";
import { TransferList } from "./transfer_list";
import { Uploads } from "./uploads";

/** The files of a devbox: to browse, look at, upload, download and delete. */
export class FilesTool implements Tool {
  private readonly frame: ToolFrame;
  private readonly channel: Channel<Request, Event>;
  private readonly folder: FolderView;
  private readonly bar: PathBar;
  private readonly preview: PreviewPane;
  private readonly newFolder: NewFolder;
  private readonly uploads: Uploads;
  private readonly transfers = new TransferList((key) => this.uploads.cancel(key));
  private readonly told = h("div", { class: "rl-files-told", role: "status" });
  private path = "";
  private wanted = ""; // the name that is to have the keyboard when the folder comes

  private readonly actions: Record<Exclude<FolderAction, "jump">, () => boolean> = {
    open: () => this.open(),
    up: () => this.leave(),
    remove: () => this.remove(),
    "close preview": () => this.closePreview(),
  };

  constructor(options: RenderOptions) {
    this.frame = new ToolFrame("files", options);
    this.bar = this.makeBar();
    this.folder = new FolderView(
      `${this.frame.heading}: the folder`,
      { active: () => this.updateActive(), action: (action) => this.actions[action]() },
      (summary) => setText(this.told, summary),
    );
    this.preview = new PreviewPane(this.frame.announcer.say, () => this.closePreview());
    this.newFolder = new NewFolder(
      (name) => this.channel.send({ op: "make_folder", name }),
      () => this.folder.list.focus(),
    );
    this.uploads = this.makeUploads();
    this.build();
    this.channel = this.connect();
    this.channel.open();
  }

  close(): void {
    this.uploads.close();
    this.channel.close();
    this.folder.list.close();
    this.preview.close();
    this.frame.close();
  }

  private makeBar(): PathBar {
    return new PathBar({
      onGo: (path) => this.go(path),
      onHidden: (on) => this.folder.setWithHidden(on),
      onNewFolder: () => this.newFolder.start(),
      onDownload: () => this.download(),
      onRemove: () => this.remove(),
      onUpload: (files) => this.uploads.add(files),
      onLeave: () => this.folder.list.focus(),
    });
  }

  private makeUploads(): Uploads {
    return new Uploads({
      send: (request) => this.channel.send(request),
      askReplace: (name) => this.ask(`Replace ${name}?`, `There is already ${name} in ${this.path}.`, "Replace"),
      onProblem: (text) => this.frame.notices.showProblem(text),
    });
  }

  private build(): void {
    this.frame.bar.append(...this.bar.elements);
    const left = h("div", { class: "rl-files-left" }, this.folder.heads, this.newFolder.element, this.folder.element);
    const body = h("div", { class: "rl-tool-body" }, left, this.preview.element);
    this.frame.element.append(body, this.transfers.element, this.told);
    onDrop(this.frame.element, {
      onFiles: (files) => this.uploads.add(files),
      onFolders: ([name]) =>
        this.frame.notices.showProblem(`Folders cannot be dropped: %devbox upload ${name} takes one.`),
    });
  }

  private connect(): Channel<Request, Event> {
    return this.frame.channel<Request, Event>({
      binary: BINARY,
      handlers: {
        listing: (listing) => this.updateFolder(listing),
        preview: (preview) => this.showPreview(preview),
        preview_closed: () => this.hidePreview(),
        busy: ({ on }) => this.bar.updateBusy(on),
        told: ({ text }) => setText(this.told, text),
        folder_made: ({ name }) => {
          this.wanted = name;
          this.newFolder.end();
        },
        upload_exists: ({ key, name }) => void this.uploads.exists(key, name),
        upload_wanted: ({ key }) => void this.uploads.send(key),
        transfers: (transfers) => this.updateTransfers(transfers),
      },
      onOver: () => this.bar.updateBusy(false),
    });
  }

  private go(path: string): void {
    this.channel.send({ op: "open_folder", path });
  }

  private updateFolder(listing: Listing): void {
    const isSame = listing.path === this.path;
    const active = this.wanted || (isSame ? (this.folder.list.active?.[0] ?? "") : "");
    this.path = listing.path;
    this.wanted = "";
    this.bar.updatePath(listing.path);
    if (!isSame) this.folder.list.toTop();
    this.folder.update(listing, active);
    this.updateActive();
  }

  private updateTransfers({ transfers }: Transfers): void {
    this.uploads.update(transfers);
    this.transfers.update(transfers);
  }

  private updateActive(): void {
    this.bar.updateActive(this.folder.list.active);
  }

  private showPreview(preview: Preview): void {
    if (preview.kind === "none" && !preview.remark) this.hidePreview();
    else this.preview.update(preview);
  }

  private hidePreview(): void {
    if (this.preview.clear()) this.folder.list.focus();
  }

  // What the user does. Each tells whether it took the key.

  private open(): boolean {
    const entry = this.folder.list.active;
    if (entry) this.channel.send({ op: "open_entry", name: entry[0] });
    return true;
  }

  private leave(): boolean {
    if (this.path !== "/") {
      this.wanted = lastName(this.path);
      this.go("..");
    }
    return true;
  }

  private closePreview(): boolean {
    if (!this.preview.isOpen) return false;
    this.channel.send({ op: "close_preview" });
    return true;
  }

  private remove(): boolean {
    const entry = this.folder.list.active;
    if (!entry) return false;
    const { title, text } = removal(entry, this.path);
    void this.ask(title, text, "Delete").then((yes) => {
      if (yes) this.channel.send({ op: "remove", name: entry[0] });
    });
    return true;
  }

  private download(): void {
    const entry = this.folder.list.active;
    if (entry) this.channel.send({ op: "download", key: newId(), name: entry[0] });
  }

  private ask(title: string, text: string, yes: string): Promise<boolean> {
    return confirm(this.frame.element, { title, content: h("p", {}, text), yes, destructive: true });
  }
}
