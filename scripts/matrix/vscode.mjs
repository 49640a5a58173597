/** A page with VS Code's widget manager on a real kernel: what VS Code's renderer does with cells, and nothing more. */
import { KernelManager, ServerConnection } from "@jupyterlab/services";
import { activate } from "@vscode/jupyter-ipywidgets8";

const VIEW = "application/vnd.jupyter.widget-view+json";
const loader = {
  widgetsRegisteredInRequireJs: new Set(),
  async loadWidgetScript(name) {
    requirejs.config({ paths: { [name]: `/static/nbextensions/${name}/index` } });
    this.widgetsRegisteredInRequireJs.add(name);
  },
  errorHandler: (...told) => console.error(...told),
  successHandler: () => {},
};

/** The text of a terminal that knows carriage returns alone. */
function asShown(text) {
  return text.replace(/[^\n]*\r(?!\n)(?=.)/g, "");
}

class Cell {
  ended = false;
  cleared = false;
  streams = "";
  element = document.body.appendChild(document.createElement("div"));
  text = this.element.appendChild(document.createElement("pre"));

  constructor(kernel, manager, code) {
    const future = kernel.requestExecute({ code });
    future.onIOPub = ({ header, content }) => this.take(manager, header.msg_type, content);
    future.done.then(() => { this.ended = true; });
  }

  async take(manager, type, content) {
    if (type === "clear_output") this.cleared = true;
    if (this.cleared && type !== "clear_output" && type !== "status") {
      [this.cleared, this.streams] = [false, ""];
    }
    if (type === "stream") this.streams += content.text;
    if (type === "error") this.streams += content.traceback.join("\n");
    if (type === "display_data" || type === "execute_result" || type === "update_display_data") {
      const view = content.data[VIEW];
      if (view) return this.show(manager, view.model_id);
      this.streams += content.data["text/plain"] ?? "";
    }
    this.text.textContent = asShown(this.streams);
  }

  async show(manager, id) {
    const node = this.element.appendChild(document.createElement("div"));
    const view = await manager.create_view(await manager.get_model(id), { el: node });
    await manager.display_view({}, view, { node });
  }
}

async function start() {
  activate();
  window.vscIPyWidgets8.load();
  const base = `${location.origin}/`;
  const serverSettings = ServerConnection.makeSettings({ baseUrl: base, wsUrl: base.replace("http", "ws") });
  const kernel = await new KernelManager({ serverSettings }).startNew({ name: "python3" });
  await kernel.info;
  const manager = new window.vscIPyWidgets.WidgetManager(kernel, document.body, loader, () => {});
  window.cells = {};
  window.runCell = (name, code) => { window.cells[name] = new Cell(kernel, manager, code); };
  window.interrupt = () => kernel.interrupt();
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  document.body.textContent = String(error.stack);
});
