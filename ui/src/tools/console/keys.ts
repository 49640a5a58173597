export type LineAction =
  | "stop"
  | "end input"
  | "clear"
  | "enter"
  | "new line"
  | "earlier"
  | "later"
  | "page up"
  | "page down";

export interface LineKey {
  key: string;
  ctrlKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

export interface LineNow {
  running: boolean;
  value: string;
  selectionStart: number;
  selectionEnd: number;
}

/** The action of a key in the console's line; null for one that the text field takes itself. */
export function lineAction(key: LineKey, line: LineNow): LineAction | null {
  if (key.ctrlKey) return key.shiftKey || key.altKey || key.metaKey ? null : controlAction(key.key.toLowerCase(), line);
  switch (key.key) {
    case "Enter": // with Shift, too: JupyterLab, for which that is a shortcut, keeps the page from typing it
      return key.shiftKey ? "new line" : "enter";
    case "ArrowUp":
      return !line.running && !line.value.slice(0, line.selectionStart).includes("\n") ? "earlier" : null;
    case "ArrowDown":
      return !line.running && !line.value.slice(line.selectionEnd).includes("\n") ? "later" : null;
    case "PageUp":
      return "page up";
    case "PageDown":
      return "page down";
    default:
      return null;
  }
}

function controlAction(key: string, line: LineNow): LineAction | null {
  if (key === "l") return "clear";
  if (!line.running) return null;
  if (key === "c") return line.selectionStart === line.selectionEnd ? "stop" : null; // else it copies
  return key === "d" && !line.value ? "end input" : null;
}
