import { h, text } from "../../dom/elements";
import type { Piece } from "../../protocol/console";
import { Chunk, type Stream } from "./chunk";
import { CHUNK_LINES, cutFor, endsOfLine, MOST_CHARACTERS, MOST_LINES, roughLines } from "./text_limits";

const MARKS: Partial<Record<Piece[0], string>> = { command: "$", input: "›", good: "✓", bad: "✗", quiet: "…" };

/** A line of the console's own: a command, its input, or how it ended. */
class Remark {
  readonly element: HTMLElement;
  readonly lines: number;
  readonly characters: number;
  private readonly spelled: string;

  constructor(kind: Piece[0], words: string) {
    const mark = MARKS[kind] ?? "";
    this.element = h(
      "div",
      { class: "rl-remark", "data-kind": kind },
      h("span", { class: "rl-mark" }, mark),
      text(words),
    );
    this.lines = 1 + endsOfLine(words);
    this.characters = words.length;
    this.spelled = `${mark} ${words}`;
  }

  get text(): string {
    return this.spelled;
  }
}

/** What commands have printed, as text of the page. The oldest goes when there is too much of it. */
export class Output {
  readonly element: HTMLElement;
  private readonly inner = h("div");
  private isAtEnd = true; // its end is in sight, and kept there
  private blocks: (Chunk | Remark)[] = [];
  private chunk: Chunk | null = null; // the one that is printed into
  private waiting: Piece[] = [];
  private waitingLines = 0;
  private frame: number | null = null;
  private readonly resize = new ResizeObserver(() => this.follow());

  constructor(
    label: string,
    private readonly onEnd: (isAtEnd: boolean) => void,
  ) {
    const properties = {
      class: "rl-console-output",
      tabindex: "0",
      role: "log",
      "aria-live": "off",
      "aria-label": label,
    };
    this.element = h("div", { ...properties, onscroll: () => this.noteScroll() }, this.inner);
    this.resize.observe(this.element);
  }

  /** All that is shown, as text. */
  get text(): string {
    return this.blocks.map((block) => block.text.replace(/\n$/, "")).join("\n");
  }

  clear(): void {
    this.waiting = [];
    this.waitingLines = 0;
    this.blocks = [];
    this.chunk = null;
    this.inner.replaceChildren();
    this.setAtEnd(true);
  }

  /** Drawn once a frame; a page in the background has no frames. */
  add(pieces: readonly Piece[]): void {
    for (const piece of pieces) {
      this.waiting.push(piece);
      this.waitingLines += roughLines(piece[1]);
    }
    if (document.hidden || this.waitingLines > MOST_LINES) this.draw();
    else this.frame ??= requestAnimationFrame(() => this.draw());
  }

  toEnd(): void {
    this.setAtEnd(true);
    this.element.scrollTop = this.element.scrollHeight;
  }

  scrollByPages(pages: number): void {
    this.element.scrollBy(0, pages * 0.9 * this.element.clientHeight);
  }

  close(): void {
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.resize.disconnect();
  }

  private follow(): void {
    if (this.isAtEnd) this.toEnd();
  }

  private noteScroll(): void {
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    this.setAtEnd(scrollTop + clientHeight >= scrollHeight - 24);
  }

  private setAtEnd(isAtEnd: boolean): void {
    if (isAtEnd === this.isAtEnd) return;
    this.isAtEnd = isAtEnd;
    this.onEnd(isAtEnd);
  }

  private draw(): void {
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.frame = null;
    const pieces = this.waiting;
    this.waiting = [];
    this.waitingLines = 0;
    for (const [kind, words] of pieces) {
      if (kind === "stdout" || kind === "stderr") this.print(kind, words);
      else if (kind === "back") this.takeBack(Number(words));
      else this.remark(kind, words);
    }
    this.dropOldest();
    this.follow();
  }

  private dropOldest(): void {
    let lines = this.blocks.reduce((sum, block) => sum + block.lines, 0);
    let characters = this.blocks.reduce((sum, block) => sum + block.characters, 0);
    while (this.blocks.length > 1 && (lines > MOST_LINES || characters > MOST_CHARACTERS)) {
      const oldest = this.blocks.shift();
      if (!oldest) return;
      lines -= oldest.lines;
      characters -= oldest.characters;
      oldest.element.remove();
    }
  }

  private remark(kind: Piece[0], words: string): void {
    this.show(new Remark(kind, words));
    this.chunk = null;
  }

  private print(stream: Stream, words: string): void {
    for (let start = 0; start < words.length; ) {
      const chunk = this.chunkFor(stream);
      const end = cutFor(words, start, CHUNK_LINES - chunk.lines);
      chunk.append(words.slice(start, end));
      start = end;
    }
  }

  private chunkFor(stream: Stream): Chunk {
    const last = this.chunk;
    if (last?.stream === stream && !last.isFull) return last;
    const chunk = last?.stream === stream ? new Chunk(stream, last.style) : new Chunk(stream);
    this.chunk = chunk;
    this.show(chunk);
    return chunk;
  }

  private takeBack(lines: number): void {
    this.chunk = null;
    let rest = lines;
    for (let last = this.blocks.at(-1); last instanceof Chunk; last = this.blocks.at(-1)) {
      rest = last.takeBack(rest);
      if (last.characters) {
        this.chunk = last;
        return;
      }
      this.blocks.pop();
      last.element.remove();
    }
  }

  private show(block: Chunk | Remark): void {
    this.blocks.push(block);
    this.inner.append(block.element);
  }
}
