import type { NotebookPanel } from "@jupyterlab/notebook";
import type { Kernel } from "@jupyterlab/services";
import { type ISignal, Signal } from "@lumino/signaling";
import { Channel } from "../channel";
import { BINARY, type CurrentDevbox, type Event, type Request } from "../protocol/notebook";
import { lineOf } from "./comm_line";
import type { LinkState } from "./link_state";

const TARGET = "runloop_jupyter";

/** The conversation with the extension in a notebook's kernel, for as long as the notebook is open. */
export class NotebookLink {
  devbox: CurrentDevbox | null = null;
  /** What shows the panel, by MIME type, once that was asked for. */
  panel: Readonly<Record<string, unknown>> | null = null;
  /** Which service the panel uses, where no cell has said so. */
  greeting = "";
  /** Why there is no panel. */
  problem = "";

  private kernel: Kernel.IKernelConnection | null = null;
  private comm: Kernel.IComm | null = null;
  private channel: Channel<Request, Event> | null = null;
  private language = "";
  private isPanelWanted = false;
  private readonly signal = new Signal<NotebookLink, void>(this);

  constructor(readonly notebook: NotebookPanel) {
    const { sessionContext } = notebook;
    sessionContext.kernelChanged.connect(this.useKernel, this);
    sessionContext.statusChanged.connect(this.noteStatus, this);
    notebook.disposed.connect(this.close, this);
    void sessionContext.ready.then(() => this.useKernel());
  }

  get changed(): ISignal<NotebookLink, void> {
    return this.signal;
  }

  get state(): LinkState {
    if (!this.kernel || this.kernel.status === "dead") return "no kernel";
    if (this.comm) return "loaded";
    return this.language && this.language !== "python" ? "other language" : "not loaded";
  }

  get isBusy(): boolean {
    return this.kernel?.status === "busy";
  }

  /** Ask for the panel, once. */
  showPanel(): void {
    if (this.isPanelWanted || !this.channel) return;
    this.isPanelWanted = true;
    this.problem = "";
    this.channel.send({ op: "show_panel" });
    this.signal.emit();
  }

  /** Load the extension in the kernel, as a cell would, but without one. */
  async load(): Promise<void> {
    const code = "%load_ext runloop_jupyter";
    const reply = await this.kernel?.requestExecute({ code, silent: false, store_history: false }).done;
    const { status, ename, evalue } = reply?.content ?? { status: "aborted" };
    this.problem = status === "ok" ? "" : status === "error" ? `${ename}: ${evalue}` : "The kernel did not answer.";
    this.signal.emit();
  }

  private useKernel(): void {
    const kernel = this.notebook.sessionContext.session?.kernel ?? null;
    if (kernel === this.kernel || this.notebook.isDisposed) return;
    this.kernel = kernel;
    this.language = "";
    this.disconnect();
    if (!kernel?.handleComms) return; // of several documents with one kernel, one has its comms
    kernel.registerCommTarget(TARGET, (comm) => this.connect(comm, kernel));
    void this.find(kernel);
  }

  /** Meet a kernel that has had the extension since before this page was open. */
  private async find(kernel: Kernel.IKernelConnection): Promise<void> {
    const known = await Promise.all([kernel.requestCommInfo({ target_name: TARGET }), kernel.info]).catch(() => null);
    if (!known || kernel !== this.kernel || this.comm) return; // one that ends, or starts again, does not answer
    const [{ content }, { language_info }] = known;
    this.language = language_info.name;
    const [id] = content.status === "ok" ? Object.keys(content.comms) : [];
    if (id) this.connect(kernel.createComm(TARGET, id), kernel);
    else this.signal.emit();
  }

  private connect(comm: Kernel.IComm, kernel: Kernel.IKernelConnection): void {
    if (kernel !== this.kernel) return;
    this.disconnect();
    this.comm = comm;
    comm.onClose = () => comm === this.comm && this.disconnect();
    this.channel = new Channel<Request, Event>({
      model: lineOf(comm, this.notebook.sessionContext),
      element: this.notebook.node,
      binary: BINARY,
      handlers: {
        current_devbox: (event) => this.noteDevbox(event),
        panel_ready: ({ data, greeting }) => {
          this.greeting = greeting;
          this.notePanel(data, "");
        },
        panel_failed: ({ text }) => this.notePanel(null, text),
        ended: () => this.disconnect(),
      },
      onVisible: (visible) => visible && this.channel?.greet(), // asks for how it is now
    });
    this.channel.open();
    this.signal.emit();
  }

  private noteDevbox(devbox: CurrentDevbox): void {
    this.devbox = devbox.id ? devbox : null;
    this.signal.emit();
  }

  private notePanel(panel: Readonly<Record<string, unknown>> | null, problem: string): void {
    this.panel = panel;
    this.problem = problem;
    this.isPanelWanted = panel !== null;
    this.signal.emit();
  }

  /** A kernel that starts again is the same connection, without what it had. */
  private noteStatus(): void {
    const status = this.kernel?.status ?? "dead";
    const isOver = ["restarting", "autorestarting", "terminating", "dead"].includes(status);
    if (isOver) this.disconnect();
    this.signal.emit();
  }

  private disconnect(): void {
    const { channel } = this;
    this.channel = this.comm = this.devbox = this.panel = null;
    this.isPanelWanted = false;
    this.problem = "";
    channel?.close();
    this.signal.emit();
  }

  private close(): void {
    this.kernel = null;
    this.disconnect();
    Signal.clearData(this);
  }
}
