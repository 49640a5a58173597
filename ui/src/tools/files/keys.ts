export type FolderAction = "open" | "up" | "remove" | "close preview" | "jump";

/** The action of a key in the list of a folder; null for one that the list takes itself. */
export function folderAction(event: {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}): FolderAction | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const actions: Record<string, FolderAction> = {
    Enter: "open",
    Backspace: "up",
    Delete: "remove",
    Escape: "close preview",
  };
  const action = actions[event.key];
  if (action) return action;
  return event.key.length === 1 && event.key !== " " ? "jump" : null;
}
