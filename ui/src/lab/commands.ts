import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { ICommandPalette } from "@jupyterlab/apputils";
import type { ILauncher } from "@jupyterlab/launcher";
import { type PanelSidebar, runloopIcon } from "./panel_sidebar";

export const OPEN_PANEL = "runloop-jupyter:open-panel";

/** Offer the panel in the command palette, and in the launcher where there is one. */
export function addCommands(
  app: JupyterFrontEnd,
  sidebar: PanelSidebar,
  palette: ICommandPalette | null,
  launcher: ILauncher | null,
): void {
  app.commands.addCommand(OPEN_PANEL, {
    label: "Runloop panel",
    caption: "Devboxes, blueprints, snapshots and storage of the notebook in use",
    icon: runloopIcon,
    execute: () => app.shell.activateById(sidebar.id),
  });
  palette?.addItem({ command: OPEN_PANEL, category: "Runloop" });
  launcher?.add({ command: OPEN_PANEL, category: "Other" });
}
