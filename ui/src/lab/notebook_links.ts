import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import { LostViews } from "./lost_views";
import { NotebookLink } from "./notebook_link";

/** The links of all notebooks that are open. */
export class NotebookLinks {
  private readonly links = new WeakMap<NotebookPanel, NotebookLink>();

  constructor(private readonly tracker: INotebookTracker) {}

  of(notebook: NotebookPanel): NotebookLink {
    const known = this.links.get(notebook);
    if (known) return known;
    const made = new NotebookLink(notebook);
    new LostViews(notebook);
    this.links.set(notebook, made);
    return made;
  }

  get current(): NotebookLink | null {
    const notebook = this.tracker.currentWidget;
    return notebook && this.of(notebook);
  }

  onCurrent(callback: () => void): void {
    this.tracker.currentChanged.connect(callback);
  }
}
