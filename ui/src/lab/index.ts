import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, IToolbarWidgetRegistry } from "@jupyterlab/apputils";
import { IEditorLanguageRegistry } from "@jupyterlab/codemirror";
import { ILauncher } from "@jupyterlab/launcher";
import { INotebookTracker, type NotebookPanel } from "@jupyterlab/notebook";
import { addCommands, OPEN_PANEL } from "./commands";
import { DevboxChip } from "./devbox_chip";
import { addMagics } from "./mixed_language";
import { NotebookLinks } from "./notebook_links";
import { PanelSidebar } from "./panel_sidebar";

/**
 * Cells in their own language. The language that is registered for IPython is replaced in place, before an editor asks
 * for it: all that JupyterLab does with languages works as before, and no notebook is changed. A start without a notebook
 * loads nothing for it.
 */
const cells: JupyterFrontEndPlugin<void> = {
  id: "runloop-jupyter:cells",
  description: "Colours and indents the cells of %%devbox and %%runloop by what is in them.",
  autoStart: true,
  requires: [IEditorLanguageRegistry],
  activate: (_: JupyterFrontEnd, languages: IEditorLanguageRegistry) => {
    const ipython = languages.findByMIME("text/x-ipython"); // notebooks are restored after this
    if (ipython) addMagics(ipython, languages);
  },
};

/** The panel in a sidebar, its command, and the chip in a notebook's toolbar. */
const notebooks: JupyterFrontEndPlugin<void> = {
  id: "runloop-jupyter:notebooks",
  description: "Shows a notebook's current devbox in its toolbar, and the Runloop panel in the sidebar.",
  autoStart: true,
  requires: [INotebookTracker, IToolbarWidgetRegistry],
  optional: [ILayoutRestorer, ICommandPalette, ILauncher],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    toolbars: IToolbarWidgetRegistry,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
  ) => {
    const links = new NotebookLinks(tracker);
    const sidebar = new PanelSidebar(links);
    app.shell.add(sidebar, "left", { rank: 900 });
    restorer?.add(sidebar, sidebar.id);
    addCommands(app, sidebar, palette, launcher);
    toolbars.addFactory<NotebookPanel>("Notebook", "runloop-devbox", (notebook) => {
      return new DevboxChip(links.of(notebook), () => app.commands.execute(OPEN_PANEL));
    });
  },
};

export default [cells, notebooks];
