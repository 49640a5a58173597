import type { MenuEntry } from "../../dom/menu";
import type { Action, Row } from "../../protocol/panel";
import { barrier } from "../actions";
import type { ResourceKind } from "../kinds";

export interface RowMenuEvents {
  onAct(action: Action, rows: readonly Row[]): void;
  onDismiss(row: Row): void;
  onCopy(row: Row): void;
  onOpen(row: Row): void;
}

/** The menu of a row: what can be done to its resource, and why something cannot be done now. */
export function rowMenu(
  kind: ResourceKind,
  row: Row,
  { isMarked, over }: { isMarked: boolean; over: string },
  events: RowMenuEvents,
): MenuEntry[] {
  const actions = kind.spec.actions.map((action, at): MenuEntry => {
    const { label, destructive } = action;
    const act = () => events.onAct(action, [row]);
    return { label, act, destructive, barred: over || barrier(action, kind, row), apart: destructive && at > 0 };
  });
  const dismiss = { label: "Dismiss the message", act: () => events.onDismiss(row) };
  return [
    ...actions,
    ...(isMarked ? [dismiss] : []),
    { label: "Copy ID", act: () => events.onCopy(row), apart: true },
    { label: "Show details", act: () => events.onOpen(row) },
  ];
}
