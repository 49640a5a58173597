/** The state of a notebook, as far as the extension in its kernel is concerned. */
export type LinkState = "no kernel" | "other language" | "not loaded" | "loaded";

export interface Known {
  state: LinkState;
  isBusy: boolean;
  /** Why there is no panel. */
  problem: string;
}

export interface Advice {
  text: string;
  /** The code that does it, to be typed. */
  code?: string;
  button?: "Load it" | "Try again";
}

/** What the sidebar says in place of a panel about a notebook; null is for none. */
export function advice(known: Known | null): Advice {
  if (!known) return { text: "Open a notebook: its devboxes, blueprints, snapshots and storage show here." };
  switch (known.state) {
    case "no kernel":
      return { text: "This notebook has no kernel. Choose one from the menu: Kernel, Change Kernel." };
    case "other language":
      return { text: "The panel needs a notebook with a Python kernel." };
    case "not loaded":
      return notLoaded(known.problem);
    case "loaded":
      if (known.problem) return { text: known.problem, button: "Try again" };
      return { text: known.isBusy ? "The kernel is busy: the panel opens when it has time." : "Opening the panel…" };
  }
}

function notLoaded(problem: string): Advice {
  if (problem.startsWith("ModuleNotFoundError")) {
    return {
      text: "The Python of this kernel does not have runloop-jupyter. Install it in a cell, then load it:",
      code: "%pip install runloop-jupyter",
      button: "Load it",
    };
  }
  const text = "Runloop is not loaded in this notebook. Run this in a cell, or press the button:";
  return { text: problem || text, code: "%load_ext runloop_jupyter", button: "Load it" };
}
