const PIECE = 512 * 1024; // bytes
const AHEAD = 4; // pieces that may be on their way

/** A file that goes to the kernel in pieces, no more of them at once than it has room for. */
export class Upload {
  received = 0;
  private cancelled = false;
  private wake: (() => void) | null = null;

  constructor(readonly file: File) {}

  /** Send all of it by `send`; the result tells whether it was all sent. Rejects where the file cannot be read. */
  async run(send: (piece: Uint8Array) => void): Promise<boolean> {
    for (let at = 0; at < this.file.size && !this.cancelled; at += PIECE) {
      const piece = new Uint8Array(await this.file.slice(at, at + PIECE).arrayBuffer());
      while (at - this.received > AHEAD * PIECE && !this.cancelled) await this.room();
      if (!this.cancelled) send(piece);
    }
    return !this.cancelled;
  }

  /** The kernel has so many bytes of it now. */
  acknowledge(bytes: number): void {
    this.received = bytes;
    this.wake?.();
  }

  cancel(): void {
    this.cancelled = true;
    this.wake?.();
  }

  private room(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}
