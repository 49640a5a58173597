import { newId } from "../../channel";
import type { Request, Transfer } from "../../protocol/files";
import { Upload } from "../../upload";

export interface UploadsOptions {
  send: (request: Request) => void;
  /** Asks whether a file that is there is to be replaced. */
  askReplace: (name: string) => Promise<boolean>;
  onProblem: (text: string) => void;
}

/** The files that this page sends to the kernel, by the keys of their transfers. */
export class Uploads {
  private readonly uploads = new Map<string, Upload>();
  private readonly begun = new Set<string>();

  constructor(private readonly options: UploadsOptions) {}

  add(files: readonly File[]): void {
    for (const file of files) {
      const key = newId();
      this.uploads.set(key, new Upload(file));
      this.request(key, file, false);
    }
  }

  /** There is a file of this name already: ask, and go on or leave it. */
  async exists(key: string, name: string): Promise<void> {
    const upload = this.uploads.get(key);
    if (!upload) return;
    if (await this.options.askReplace(name)) this.request(key, upload.file, true);
    else this.uploads.delete(key);
  }

  /** The kernel waits for this file: send it. */
  async send(key: string): Promise<void> {
    const upload = this.uploads.get(key);
    if (!upload) return;
    this.begun.add(key);
    const { send, onProblem } = this.options;
    try {
      if (await upload.run((data) => send({ op: "upload_part", key, data }))) send({ op: "upload_end", key });
    } catch (error) {
      send({ op: "cancel", key });
      onProblem(`${upload.file.name} cannot be read: ${(error as Error).message}`);
    }
    this.forget(key);
  }

  /** How far the kernel is. One that it does not know any more, as after a computer's sleep, is given up. */
  update(transfers: readonly Transfer[]): void {
    const known = new Map(transfers.map((transfer) => [transfer.key, transfer]));
    for (const key of this.begun) {
      const transfer = known.get(key);
      if (transfer) this.uploads.get(key)?.acknowledge(transfer.received);
      else this.forget(key);
    }
  }

  cancel(key: string): void {
    this.forget(key);
    this.options.send({ op: "cancel", key });
  }

  close(): void {
    for (const key of [...this.uploads.keys()]) this.forget(key);
  }

  private forget(key: string): void {
    this.uploads.get(key)?.cancel();
    this.uploads.delete(key);
    this.begun.delete(key);
  }

  private request(key: string, { name, size }: File, replace: boolean): void {
    this.options.send({ op: "upload", key, name, size, replace });
  }
}
