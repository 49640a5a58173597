import { h } from "../../dom/elements";
import { PLAIN, parseAnsi, type Style } from "./ansi";
import { cssColors } from "./ansi_colors";
import { CHUNK_CHARACTERS, CHUNK_LINES, endsOfLine, lineParts, takenBack } from "./text_limits";

export type Stream = "stdout" | "stderr";

/** Some lines of one stream as text of the page, in their colours. */
export class Chunk {
  readonly element: HTMLElement;
  lines = 0;
  characters = 0;
  private line: Node[] = []; // the nodes of the last line, which a carriage return writes over ...
  private began: Style; // ... and how it began

  constructor(
    readonly stream: Stream,
    public style: Style = PLAIN,
  ) {
    this.began = style;
    this.element = h("div", { class: `rl-printed rl-${stream}` });
  }

  get isFull(): boolean {
    return this.lines >= CHUNK_LINES || this.characters >= CHUNK_CHARACTERS;
  }

  get text(): string {
    return this.element.textContent;
  }

  append(text: string): void {
    for (const { again, ended, open } of lineParts(text)) {
      if (again) this.beginLineAgain();
      if (ended) {
        this.show(ended);
        this.lines += endsOfLine(ended);
        this.line = [];
        this.began = this.style;
      }
      this.line.push(...this.show(open));
    }
  }

  /** Take back so many ends of line, and all that follows the one before them; those that were not here are left. */
  takeBack(lines: number): number {
    const left = takenBack(this.text, lines);
    this.shorten(left.characters);
    this.lines = left.lines;
    this.style = this.began = PLAIN;
    this.line = [];
    return left.rest;
  }

  private beginLineAgain(): void {
    for (const node of this.line) {
      this.characters -= (node.textContent ?? "").length;
      (node as ChildNode).remove();
    }
    this.line = [];
    this.style = this.began;
  }

  private show(text: string): Node[] {
    const { spans, style } = parseAnsi(text, this.style);
    this.style = style;
    const nodes = spans.map((span) => styled(span.text, span.style));
    this.element.append(...nodes);
    for (const span of spans) this.characters += span.text.length;
    return nodes;
  }

  private shorten(characters: number): void {
    let excess = this.text.length - characters;
    while (excess > 0 && this.element.lastChild) {
      const last = this.element.lastChild;
      const text = last.textContent ?? "";
      const kept = text.slice(0, -excess);
      excess -= text.length - kept.length;
      if (kept) last.textContent = kept;
      else last.remove();
    }
    this.characters = characters;
  }
}

function styled(text: string, style: Style): Node {
  if (style === PLAIN) return document.createTextNode(text);
  const { color, background } = cssColors(style);
  const span = h("span", { class: [...style.flags].map((flag) => `rl-ansi-${flag}`).join(" ") || null }, text);
  if (color) span.style.color = color;
  if (background) span.style.background = background;
  return span;
}
