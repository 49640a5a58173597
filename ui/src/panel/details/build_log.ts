import { h } from "../../dom/elements";
import type { LogAdded, LogLine } from "../../protocol/panel";

/** The log of a build, which stays at its end while somebody looks there. */
export class BuildLog {
  readonly element = h("pre", {
    class: "rl-log",
    tabindex: "0",
    role: "log",
    "aria-label": "Build log",
    hidden: true,
  });

  add({ start, lines }: LogAdded): void {
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    const atEnd = scrollTop + clientHeight >= scrollHeight - 8;
    if (!start) this.element.replaceChildren();
    this.element.hidden = false;
    this.element.append(...lines.map(line));
    if (atEnd) this.element.scrollTop = this.element.scrollHeight;
  }
}

function line([level, content]: LogLine): HTMLElement {
  return h("span", { class: /error/i.test(level) ? "rl-log-error" : null }, `${content.replace(/\n$/, "")}\n`);
}
