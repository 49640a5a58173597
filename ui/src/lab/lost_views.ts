import type { NotebookPanel, WidgetRenderer } from "@jupyterlab/notebook";

export const VIEW = "application/vnd.jupyter.widget-view+json";
export const LOST = "Error displaying widget: model not found";

/** As long as ipywidgets waits for a model, and a bit, in milliseconds. */
export const PAUSE = 2500;
const TRIES = 5;

interface LostView {
  id: string;
  /** Ask for the model once more. */
  revive(): Promise<void>;
}

/**
 * Widgets that ipywidgets has given up on. It waits two seconds for a widget's model, by the clock: where the page or the
 * server is busy for as long, the output says that there is none, for ever, though the model comes a moment later. Such a
 * view is made again, if the kernel has its model. Those of kernels that are no more stay as they are.
 */
export class LostViews {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly tries = new Map<string, number>();

  constructor(private readonly notebook: NotebookPanel) {
    const { sessionContext } = notebook;
    sessionContext.kernelChanged.connect(this.begin, this);
    sessionContext.statusChanged.connect(this.look, this);
    notebook.disposed.connect(() => clearTimeout(this.timer));
    this.look();
  }

  private begin(): void {
    this.tries.clear();
    this.look();
  }

  private look(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.reviveAll();
    }, PAUSE);
  }

  private async reviveAll(): Promise<void> {
    const lost = lostViews(this.notebook).filter(({ id }) => (this.tries.get(id) ?? 0) < TRIES);
    const kernel = this.notebook.sessionContext.session?.kernel;
    if (!lost.length || !kernel) return;
    const reply = await kernel.requestCommInfo({}).catch(() => null); // one that ends does not answer
    if (reply?.content.status !== "ok") return;
    const { comms } = reply.content;
    for (const { id } of lost) this.tries.set(id, id in comms ? (this.tries.get(id) ?? 0) + 1 : TRIES);
    await Promise.all(lost.filter(({ id }) => id in comms).map((view) => view.revive()));
  }
}

function lostViews({ content }: NotebookPanel): LostView[] {
  const found: LostView[] = [];
  for (const { outputArea } of content.widgets) {
    outputArea?.widgets.forEach((output, at) => {
      const renderer = [...output.children()].find(isLost);
      const model = outputArea.model.get(at);
      const id = (model?.data[VIEW] as { model_id?: string } | undefined)?.model_id;
      if (renderer && id) found.push({ id, revive: () => renewed(renderer, model) });
    });
  }
  return found;
}

function isLost(widget: object): widget is WidgetRenderer {
  const { mimeType, node } = widget as Partial<WidgetRenderer>;
  return mimeType === VIEW && node?.textContent === LOST;
}

async function renewed(renderer: WidgetRenderer, model: unknown): Promise<void> {
  renderer.removeClass("jupyter-widgets"); // which it has as a message
  await renderer.renderModel(model);
}
