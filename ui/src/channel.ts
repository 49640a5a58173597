import type { EarlyMessage } from "./early";
import { EventOrder } from "./event_order";
import { kernelIsGone, type Line, type Received } from "./model";
import { type BinaryFields, VERSION } from "./protocol/common";

const ALIVE_EVERY = 15_000; // milliseconds
const LOOK_EVERY = 1_000;

interface Message {
  op: string;
}

/** The state of the line to the kernel. `gone` and `ended` are for good. */
export type LineState = "connecting" | "open" | "waiting" | "silent" | "gone" | "ended";

type Handlers<E extends Message> = { [K in E["op"]]?: (event: Extract<E, { op: K }>) => void };

export interface ChannelOptions<E extends Message> {
  model: Line;
  element: HTMLElement;
  binary: BinaryFields;
  /** By the names of the messages. `ack` and `hello_wanted` are the channel's own. */
  handlers: Handlers<E>;
  /** The fields of the widget's own `hello`. */
  hello?: () => Record<string, unknown>;
  /** Called when the state of the line changes; `text` is the kernel's, where it has ended. */
  onState?: (state: LineState, text: string) => void;
  /** What the kernel has sent already. */
  early?: readonly EarlyMessage[];
  onVisible?: (visible: boolean) => void;
}

/** A view's end of the conversation with the kernel. It begins with `open`, and ends with `close`. */
export class Channel<Q extends Message, E extends Message> {
  /** True while somebody can see the view. */
  visible = document.visibilityState !== "hidden";
  state: LineState = "connecting";

  private view = newId();
  private sent = 0;
  private readonly unanswered = new Map<number, { message: Message; since: number }>(); // by number
  private readonly order = new EventOrder();
  private readonly begun = performance.now();
  private readonly receive = (content: Received, buffers: readonly DataView[]) => this.take(content, buffers);
  private readonly look = () => this.setVisible();
  private readonly timers: ReturnType<typeof setInterval>[] = [];
  private readonly sight: IntersectionObserver;
  private inSight = true;
  private endedBecause: string | null = null;

  constructor(private readonly options: ChannelOptions<E>) {
    this.sight = new IntersectionObserver((entries) => {
      this.inSight = entries.at(-1)?.isIntersecting ?? true;
      this.setVisible();
    });
  }

  open(): void {
    this.options.model.on("msg:custom", this.receive);
    document.addEventListener("visibilitychange", this.look);
    this.sight.observe(this.options.element);
    this.timers.push(setInterval(() => this.beat(), ALIVE_EVERY));
    this.timers.push(setInterval(() => this.updateState(), LOOK_EVERY));
    this.greet();
    for (const [content, buffers] of this.options.early ?? []) this.take(content, buffers);
  }

  close(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.sight.disconnect();
    document.removeEventListener("visibilitychange", this.look);
    this.options.model.off("msg:custom", this.receive);
    this.post({ op: "bye" });
  }

  send(request: Q): void {
    this.post(request);
  }

  /** Ask for all there is, again. */
  greet(): void {
    this.order.restart();
    const hello = { op: "hello", protocol: VERSION, visible: this.visible, ...this.options.hello?.() };
    this.post(hello);
  }

  /** Milliseconds that the kernel has owed an answer for; 0 when it owes none. */
  get owed(): number {
    const [oldest] = this.unanswered.values();
    return oldest === undefined ? 0 : performance.now() - oldest.since;
  }

  private post(message: Message): void {
    if (this.isGone()) return;
    const fields = message as unknown as Record<string, unknown>;
    const binary = this.options.binary[message.op] ?? [];
    const buffers = binary.map((name) => fields[name] as Uint8Array);
    const content = Object.fromEntries(Object.entries(fields).filter(([name]) => !binary.includes(name)));
    const n = this.sent++;
    this.unanswered.set(n, { message, since: performance.now() });
    this.options.model.send({ ...content, view: this.view, n }, undefined, buffers);
  }

  private beat(): void {
    const alive = { op: "alive", visible: this.visible };
    this.post(alive);
  }

  private take(content: Received, buffers: readonly DataView[]): void {
    if (content.view !== undefined && content.view !== this.view) return;
    if (content.op === "ack") {
      this.acknowledge(content.n as number);
    } else if (content.op === "hello_wanted") {
      this.beginAnew();
    } else {
      const found = this.order.accept(content as { seq?: number; at?: number });
      const isMine = content.view !== undefined; // it comes only once, whatever was lost before it
      if (found === "take" || (found === "gap" && isMine)) this.handle(content, buffers);
      if (found === "gap") this.greet();
    }
    this.updateState();
  }

  /** The kernel has forgotten this view, as after a computer's sleep, and so it has done nothing of what is unanswered. */
  private beginAnew(): void {
    const lost = [...this.unanswered.values()].map(({ message }) => message);
    this.view = newId();
    this.sent = 0;
    this.unanswered.clear();
    this.greet();
    for (const message of lost) if (message.op !== "hello" && message.op !== "alive") this.post(message);
  }

  private handle(content: Received, buffers: readonly DataView[]): void {
    if (content.op === "ended") this.endedBecause = content.text as string;
    const event: Record<string, unknown> = { ...content };
    for (const [index, name] of (this.options.binary[content.op] ?? []).entries()) {
      const buffer = buffers[index];
      event[name] = buffer && new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    }
    const handlers = this.options.handlers as Record<string, ((event: unknown) => void) | undefined>;
    handlers[content.op]?.(event);
  }

  private acknowledge(n: number): void {
    for (const number of this.unanswered.keys()) if (number <= n) this.unanswered.delete(number);
  }

  private setVisible(): void {
    const visible = this.inSight && document.visibilityState !== "hidden";
    if (visible === this.visible) return;
    this.visible = visible;
    this.beat();
    this.options.onVisible?.(visible);
  }

  private isGone(): boolean {
    return kernelIsGone(this.options.model, this.options.element);
  }

  private updateState(): void {
    const opening = this.order.started ? 0 : performance.now() - this.begun;
    const state = lineState({
      gone: this.isGone(),
      ended: this.endedBecause !== null,
      started: this.order.started,
      owed: Math.max(this.owed, opening),
    });
    if (state === this.state) return;
    this.state = state;
    this.options.onState?.(state, this.endedBecause ?? "");
  }
}

/** The state of a line, of what is known about it. `owed` is in milliseconds. */
export function lineState(known: { gone: boolean; ended: boolean; started: boolean; owed: number }): LineState {
  if (known.gone) return "gone";
  if (known.ended) return "ended";
  if (known.owed > 20_000) return "silent";
  if (known.owed > 1_500) return "waiting";
  return known.started ? "open" : "connecting";
}

/** The sentence about a line on which nothing comes now; empty where all is well. */
export function lineText(state: LineState, ended: string): string {
  switch (state) {
    case "gone":
      return "The kernel was restarted or has ended. Run %load_ext runloop_jupyter, then this cell again.";
    case "ended":
      return ended;
    case "silent":
      return "No answer from the kernel for a while. If it was restarted, run %load_ext runloop_jupyter, then this cell again.";
    case "waiting":
      return "Waiting for the kernel: a running cell may block it. Your click is not lost.";
    default:
      return "";
  }
}

/** A name that no other view, file or transfer has. */
export function newId(): string {
  return crypto.getRandomValues(new Uint32Array(2)).join("-");
}
