import "../styles/base.css";
import "../styles/panel.css";
import "../styles/table.css";
import "../styles/side_pane.css";
import { Channel } from "../channel";
import { addStyleSheet } from "../dom/style_sheet";
import { followTheme } from "../dom/theme";
import { listenEarly, takeEarly } from "../early";
import { hearing } from "../hearing";
import type { RenderOptions } from "../model";
import { onlyCopy } from "../only_copy";
import { BINARY, type Event, type Request } from "../protocol/panel";
import { panelHandlers } from "./events";
import { Panel } from "./panel";

function render({ model, el }: RenderOptions): () => void {
  addStyleSheet(el, "panel", model.get("style_sheet") as string);
  const unfollow = followTheme(el);
  const panel = new Panel(model, el, (request) => channel.send(request));
  const channel: Channel<Request, Event> = new Channel({
    model,
    element: panel.element,
    binary: BINARY,
    handlers: panelHandlers(panel),
    hello: () => ({ kinds: panel.wanted }),
    early: takeEarly(model),
    onState: (state, text) => panel.showLine(state, text),
    onVisible: (visible) => panel.setVisible(visible),
  });
  channel.open();
  panel.showChanges();
  return () => {
    channel.close();
    panel.close();
    unfollow();
  };
}

export default onlyCopy("panel", { initialize: listenEarly, render: hearing(render) });
