export type LogAction = "next" | "previous" | "search" | "pause";

/** The action of a key; some keys have one only where the list itself has the keyboard. */
export function logAction(
  event: { key: string; ctrlKey: boolean; metaKey: boolean; shiftKey: boolean },
  inList: boolean,
): LogAction | null {
  const key = event.key.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  if (key === "f3" || (key === "g" && command)) return event.shiftKey ? "previous" : "next";
  if (key === "f" && command) return "search";
  if (!inList) return null;
  if (key === "/") return "search";
  return key === " " ? "pause" : null;
}
