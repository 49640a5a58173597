import { copyText } from "../dom/clipboard";
import type { Model } from "../model";

interface NotebookCell {
  cell_type: string;
  toJSON?: () => { outputs?: unknown };
}

interface SharedNotebook {
  cells: readonly NotebookCell[];
  insertCell?: (at: number, cell: { cell_type: string; source: string; metadata: object }) => unknown;
}

/**
 * Put a code cell below the one that shows the widget `shown`, or at the end; where the front end does not let us, copy
 * its text. Returns the sentence about it.
 */
export async function insertOrCopy(model: Model, shown: string, code: string): Promise<string> {
  const notebook = notebookOf(model);
  if (!notebook?.insertCell) {
    await copyText(code);
    return "Copied: paste it into a cell.";
  }
  const at = notebook.cells.findIndex((cell) => shown && cell.cell_type === "code" && outputs(cell).includes(shown));
  const cell = { cell_type: "code", source: code, metadata: {} };
  notebook.insertCell(at < 0 ? notebook.cells.length : at + 1, cell);
  return "Inserted a cell below this one.";
}

function notebookOf({ widget_manager }: Model): SharedNotebook | undefined {
  return (widget_manager?.context as { model?: { sharedModel?: SharedNotebook } } | undefined)?.model?.sharedModel;
}

function outputs(cell: NotebookCell): string {
  return JSON.stringify(cell.toJSON?.().outputs ?? []);
}

/** Give the keyboard to the cell that shows `element`, or else to nothing. */
export function focusCell(element: HTMLElement): void {
  const places = [".jp-Cell", ".jp-Notebook"].map((place) => element.closest<HTMLElement>(place));
  for (const place of places) {
    place?.focus({ preventScroll: true });
    if (place && document.activeElement === place) return;
  }
  (document.activeElement as HTMLElement | null)?.blur();
}
