import type { ChannelOptions } from "../channel";
import type { Event } from "../protocol/panel";
import { ask } from "./dialogs/question";
import type { Panel } from "./panel";

/** What the panel does about each of the kernel's events. */
export function panelHandlers(panel: Panel): ChannelOptions<Event>["handlers"] {
  const { store, context } = panel;
  return {
    snapshot: (event) => {
      store.takeSnapshot(event);
      panel.showAll();
      panel.side.details?.follow();
    },
    table: (event) => panel.rowsChanged(event.kind, store.takeTable(event)),
    rows_changed: (event) => panel.rowsChanged(event.kind, store.changeRows(event)),
    health_changed: (event) => {
      store.changeHealth(event);
      panel.showHealth();
    },
    marks_changed: (event) => {
      store.changeMarks(event);
      panel.marksChanged(event.marks);
    },
    kinds_changed: ({ kinds }) => {
      store.tabs = kinds;
      panel.showTabs();
    },
    current_changed: ({ id }) => {
      store.current = id;
      panel.table.grid.redecorate();
    },
    tools_changed: (event) => {
      store.changeTools(event);
      panel.toolsChanged();
    },
    clock_changed: (event) => store.changeClock(event),
    notice: ({ text, error }) => context.say(text, error),
    problem: ({ text }) => panel.status.showProblem(text),
    confirm: async (question) => {
      const yes = await ask(panel.element, question);
      context.send({ op: "answer", token: question.token, yes });
    },
    form_opened: (form) => panel.side.openForm(form),
    form_checked: (event) => panel.side.formCalled(event.name)?.showChecked(event),
    form_refused: (event) => panel.side.formCalled(event.name)?.showRefusal(event),
    form_accepted: ({ name }) => {
      if (panel.side.formCalled(name)) panel.side.close();
    },
    link_ready: (link) => panel.showLink(link),
    details_wanted: ({ kind, id }) => {
      panel.switchTo(kind);
      panel.side.openDetails(kind, id);
    },
    details: (event) => panel.side.detailsOf(event)?.show(event),
    details_failed: (event) => panel.side.detailsOf(event)?.fail(event),
    log_added: (event) => {
      if (panel.side.details?.id === event.id) panel.side.details.addLog(event);
    },
    upload_progress: (event) => panel.uploads.progress(event),
  };
}
