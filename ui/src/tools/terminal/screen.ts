import type { FitAddon } from "@xterm/addon-fit";
import type { ITheme, Terminal } from "@xterm/xterm";
import { h } from "../../dom/elements";
import { background, isDark, onTheme } from "../../dom/theme";
import type { Emulator } from "./emulator";
import { DARK, LIGHT } from "./palettes";

const RESIZE_AFTER = 40; // milliseconds
const SCROLLBACK = 10_000; // lines

export interface ScreenOptions {
  label: string;
  /** Bytes that are typed, or that the emulator answers. */
  onData: (data: Uint8Array) => void;
  onResize: (size: Size) => void;
  /** Takes a key; returns true if it goes to the shell. */
  onKey: (event: KeyboardEvent) => boolean;
}

export interface Size {
  cols: number;
  rows: number;
}

interface Written {
  data: Uint8Array;
  drawn: () => void;
}

/** What a terminal shows. Until its emulator has come, what is written waits. */
export class Screen {
  readonly element = h("div", { class: "rl-terminal-screen" });
  private terminal: Terminal | null = null;
  private fit: FitAddon | null = null;
  private early: Written[] = [];
  private takesInput = false;
  private readsAloud = false;
  private later: ReturnType<typeof setTimeout> | undefined;
  private readonly resize = new ResizeObserver(() => this.refit());
  private readonly forgetTheme = onTheme(() => this.repaint());

  constructor(private readonly options: ScreenOptions) {}

  /** The size in characters; 0 as long as it is not known. */
  get size(): Size {
    return { cols: this.terminal?.cols ?? 0, rows: this.terminal?.rows ?? 0 };
  }

  get selection(): string {
    return this.terminal?.getSelection() ?? "";
  }

  get hasEarly(): boolean {
    return this.early.length > 0;
  }

  /** Begin to draw, with the emulator. */
  start({ module, style }: Emulator): void {
    this.element.before(h("style", {}, style));
    const terminal = new module.Terminal({
      allowProposedApi: true,
      cursorBlink: true,
      scrollback: SCROLLBACK,
      theme: themeOf(this.element),
      ...fontOf(this.element),
      minimumContrastRatio: 4.5,
      macOptionIsMeta: true,
      disableStdin: !this.takesInput,
      screenReaderMode: this.readsAloud,
    });
    this.terminal = terminal;
    this.fit = new module.FitAddon();
    terminal.loadAddon(this.fit);
    terminal.open(this.element);
    terminal.textarea?.setAttribute("aria-label", this.options.label);
    terminal.attachCustomKeyEventHandler(this.options.onKey);
    this.listen(terminal);
    this.resize.observe(this.element);
    if (this.element.clientHeight) this.fit.fit();
    for (const { data, drawn } of this.early) terminal.write(data, drawn);
    this.early = [];
    terminal.focus();
  }

  /** Show what the shell has printed; `drawn` is called once it is there. */
  write(data: Uint8Array, drawn: () => void): void {
    if (this.terminal) this.terminal.write(data, drawn);
    else this.early.push({ data, drawn });
  }

  reset(): void {
    this.early = [];
    this.terminal?.reset();
  }

  setTakesInput(on: boolean): void {
    this.takesInput = on;
    if (this.terminal) this.terminal.options.disableStdin = !on;
  }

  setReadsAloud(on: boolean): void {
    this.readsAloud = on;
    if (this.terminal) this.terminal.options.screenReaderMode = on;
  }

  focus(): void {
    this.terminal?.focus();
  }

  close(): void {
    clearTimeout(this.later);
    this.resize.disconnect();
    this.forgetTheme();
    this.terminal?.dispose();
  }

  private listen(terminal: Terminal): void {
    const encoder = new TextEncoder();
    terminal.onData((text) => this.options.onData(encoder.encode(text)));
    terminal.onBinary((text) => this.options.onData(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    terminal.onResize(({ cols, rows }) => this.options.onResize({ cols, rows }));
  }

  private refit(): void {
    clearTimeout(this.later);
    this.later = setTimeout(() => {
      if (this.element.clientHeight) this.fit?.fit();
    }, RESIZE_AFTER);
  }

  private repaint(): void {
    if (this.terminal) this.terminal.options.theme = themeOf(this.element);
  }
}

function themeOf(element: HTMLElement): ITheme {
  const { color, backgroundColor } = getComputedStyle(element);
  return {
    ...(isDark(background(element)) ? DARK : LIGHT),
    background: backgroundColor,
    foreground: color,
    cursor: color,
    cursorAccent: backgroundColor,
  };
}

function fontOf(element: HTMLElement): { fontFamily: string; fontSize: number } {
  const { fontFamily, fontSize } = getComputedStyle(element);
  return { fontFamily, fontSize: Number.parseInt(fontSize, 10) };
}
