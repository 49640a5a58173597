/** What a widget's model offers to its page: the part of anywidget's interface that is used here. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  send(content: unknown, callbacks?: unknown, buffers?: readonly ArrayBufferView[]): void;
  on(event: "msg:custom", callback: (content: Received, buffers: readonly DataView[]) => void): void;
  off(event: "msg:custom", callback: (content: Received, buffers: readonly DataView[]) => void): void;
  /** The front end's own, where it is JupyterLab's or Notebook's. */
  widget_manager?: {
    get_model?(id: string): Promise<unknown>;
    context?: { sessionContext?: { session?: { kernel?: Kernel | null } | null } };
  };
}

/** The part of it by which messages travel. */
export type Line = Pick<Model, "send" | "on" | "off" | "widget_manager">;

export type Received = Readonly<Record<string, unknown>> & { op: string };

interface Kernel {
  isDisposed: boolean;
  status: string;
}

/** What anywidget calls `render` with. */
export interface RenderOptions {
  model: Model;
  el: HTMLElement;
}

/** True if the kernel behind a widget is gone, as far as the front end tells: what is shown is as it was then. */
export function kernelIsGone(model: Line, element: Element): boolean {
  if (element.closest(".jupyter-widgets-disconnected, .jp-mod-disconnected")) return true;
  const context = model.widget_manager?.context?.sessionContext;
  if (!context) return false; // another front end
  const kernel = context.session?.kernel;
  return !kernel || kernel.isDisposed || kernel.status === "dead" || kernel.status === "terminating";
}
