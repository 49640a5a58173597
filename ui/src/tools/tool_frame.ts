import { Channel, type ChannelOptions } from "../channel";
import { Announcer } from "../dom/announcer";
import { h } from "../dom/elements";
import { Notices } from "../dom/notices";
import { addStyleSheet } from "../dom/style_sheet";
import { followTheme } from "../dom/theme";
import { hearing } from "../hearing";
import type { Model, RenderOptions } from "../model";
import type { BinaryFields, Ended, Problem } from "../protocol/common";

interface Message {
  op: string;
}

/** A tool that is shown in one place of a page. */
export interface Tool {
  close(): void;
}

/** What anywidget makes views of: `open` opens the tool of this name in an element. */
export function widget(name: string, open: (options: RenderOptions) => Tool): { render: ReturnType<typeof hearing> } {
  return {
    render: hearing((options) => {
      addStyleSheet(options.el, name, options.model.get("style_sheet") as string);
      const unfollow = followTheme(options.el);
      const tool = open(options);
      return () => {
        tool.close();
        unfollow();
      };
    }),
  };
}

/** The frame of a tool: a bar, what has to be said, and the tool's own content below. */
export class ToolFrame {
  readonly element: HTMLElement;
  readonly bar: HTMLElement;
  readonly heading: string;
  readonly notices = new Notices();
  /** Says sentences to those who listen to the page. */
  readonly announcer = new Announcer();
  private readonly model: Model;

  constructor(name: string, { model, el }: RenderOptions) {
    this.model = model;
    this.heading = String(model.get("heading"));
    this.bar = h("div", { class: "rl-tool-bar", role: "toolbar", "aria-label": this.heading });
    this.element = h(
      "section",
      { class: `rl-root rl-tool rl-${name}`, "aria-label": this.heading },
      this.bar,
      this.notices.element,
      this.announcer.element,
    );
    this.element.addEventListener("focusin", keepKeys);
    el.append(this.element);
  }

  /** The heading as the bar shows it. */
  title(): HTMLElement {
    return h("span", { class: "rl-tool-heading" }, this.heading);
  }

  /** The tool's end of the conversation; `onOver` is called when nothing will come any more. */
  channel<Q extends Message, E extends Message>(options: {
    binary: BinaryFields;
    handlers: ChannelOptions<E | Problem | Ended>["handlers"];
    hello?: () => Record<string, unknown>;
    onOver: () => void;
  }): Channel<Q, E> {
    const { binary, hello, onOver } = options;
    const handlers = { ...options.handlers, problem: (event: Problem) => this.notices.showProblem(event.text) };
    const channel = new Channel<Q, E>({
      model: this.model,
      element: this.element,
      binary,
      handlers: handlers as ChannelOptions<E>["handlers"],
      ...(hello && { hello }),
      onState: (state, ended) => {
        this.notices.showLine(state, ended);
        if (state === "gone" || state === "ended") onOver();
      },
    });
    return channel;
  }

  close(): void {
    this.announcer.close();
    this.element.remove();
  }
}

/**
 * Keys pressed inside are not the notebook's: JupyterLab looks for the attribute from the focused element upwards, and
 * for a shortcut's selector at each step before the next.
 */
function keepKeys(event: FocusEvent): void {
  (event.target as Element).setAttribute("data-lm-suppress-shortcuts", "true");
}
