export type Command = "toggle" | "open" | "select all" | "remove" | "menu" | "search";

type Key = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">;

/** What a key does in the table, beside those that lead to another row; null for nothing. */
export function commandFor({ key, ctrlKey, metaKey, shiftKey, altKey }: Key): Command | null {
  if (altKey) return null;
  if (ctrlKey || metaKey) return key.toLowerCase() === "a" ? "select all" : null;
  if (key === "F10") return shiftKey ? "menu" : null;
  const commands: Record<string, Command> = {
    " ": "toggle",
    Enter: "open",
    Delete: "remove",
    ContextMenu: "menu",
    "/": "search",
  };
  return commands[key] ?? null;
}
