/** What is open in a panel. */
export interface OpenParts {
  menuOrDialog: boolean;
  searchText: boolean;
  pane: boolean;
  selection: boolean;
}

/** What Escape does: it closes what was opened last, and leaves the panel once nothing is. */
export function escapeTarget(open: OpenParts): "nothing" | "search" | "pane" | "selection" | "cell" {
  if (open.menuOrDialog) return "nothing";
  if (open.searchText) return "search";
  if (open.pane) return "pane";
  return open.selection ? "selection" : "cell";
}

/** True for keys that the notebook must not see: D twice would delete a cell there. Ctrl+S and its like are its own. */
export function isOurs({ ctrlKey, metaKey, key }: Pick<KeyboardEvent, "ctrlKey" | "metaKey" | "key">): boolean {
  return !(ctrlKey || metaKey) || "acvxz".includes(key.toLowerCase());
}
