import { newId } from "../channel";
import { onDrop } from "../dom/drop";
import { h, text } from "../dom/elements";
import type { UploadProgress } from "../protocol/panel";
import { Upload } from "../upload";
import type { Context } from "./context";

/** Files on their way to become storage objects. */
export class ObjectUploads {
  readonly picker = h("input", { type: "file", multiple: true, hidden: true });
  private readonly uploads = new Map<string, Upload>();

  constructor(
    private readonly context: Context,
    private readonly changed: () => void,
  ) {
    this.picker.onchange = () => {
      this.begin([...(this.picker.files ?? [])]);
      this.picker.value = "";
    };
  }

  /** Let the user choose files. */
  choose(): void {
    this.picker.click();
  }

  /** Take files that are dropped on an element, while they are wanted. */
  takeDrops(element: HTMLElement, accepts: () => boolean): void {
    onDrop(element, {
      accepts,
      onFiles: (files) => this.begin(files),
      onFolders: (names) => this.context.say(`Folders cannot be uploaded here: ${names.join(", ")}.`, true),
    });
  }

  private begin(files: readonly File[]): void {
    for (const file of files) void this.send(newId(), file);
    this.changed();
  }

  progress({ key, received, done }: UploadProgress): void {
    const upload = this.uploads.get(key);
    upload?.acknowledge(received);
    if (done) this.end(key);
    this.changed();
  }

  /** How far each of them is. */
  elements(): HTMLElement[] {
    return [...this.uploads.values()].map(progressOf);
  }

  close(): void {
    for (const key of this.uploads.keys()) this.end(key);
  }

  private end(key: string): void {
    this.uploads.get(key)?.cancel();
    this.uploads.delete(key);
  }

  private async send(key: string, file: File): Promise<void> {
    const upload = new Upload(file);
    const { context } = this;
    this.uploads.set(key, upload);
    context.send({ op: "upload", key, name: file.name });
    try {
      const whole = await upload.run((data) => context.send({ op: "upload_part", key, data }));
      context.send({ op: "upload_end", key, whole });
    } catch (error) {
      context.send({ op: "upload_end", key, whole: false });
      context.say(`${file.name} cannot be read: ${(error as Error).message}`, true);
    }
  }
}

function progressOf({ file, received }: Upload): HTMLElement {
  const part = file.size ? received / file.size : 0;
  const sentence = text(`Uploading ${file.name} · ${Math.round(part * 100)} %`);
  const bar = h("progress", { max: 1, value: part, "aria-label": `Upload of ${file.name}` });
  return h("span", { class: "rl-progress", "data-key": file.name }, sentence, bar);
}
