import type { Request } from "../protocol/panel";
import type { Store } from "./store";

/** What the parts of a panel share. */
export interface Context {
  readonly store: Store;
  /** The panel's element: questions and menus open over it. */
  readonly root: HTMLElement;
  send(request: Request): void;
  /** Why the kernel will never do anything again; empty as long as it may. */
  over(): string;
  /** Tell a sentence to the user. */
  say(sentence: string, error?: boolean): void;
  /** Put a cell below the panel's own. */
  insert(code: string): void;
}
