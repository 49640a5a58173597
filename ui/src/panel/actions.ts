import { statusLook } from "../format/statuses";
import type { Action, Row } from "../protocol/panel";
import type { ResourceKind } from "./kinds";

/** What is done most, in this order: these have a button of their own where details are shown. */
const FREQUENT = ["resume", "console", "terminal", "create_devbox", "download"];

export function allows(action: Action, kind: ResourceKind, row: Row): boolean {
  return action.states === null || action.states.includes(kind.status(row));
}

/** Why an action cannot be done to a resource; empty if it can. */
export function barrier(action: Action, kind: ResourceKind, row: Row): string {
  return allows(action, kind, row) ? "" : `Not while it is ${statusLook(kind.status(row)).label}`;
}

/** The actions that a resource allows: the one or two that are done most, and the others. */
export function byFrequency(kind: ResourceKind, row: Row): { primary: readonly Action[]; more: readonly Action[] } {
  const possible = kind.spec.actions.filter((action) => allows(action, kind, row));
  const frequent = FREQUENT.flatMap((name) => possible.find((action) => action.name === name) ?? []);
  const primary = possible.length > 2 ? frequent.slice(0, 2) : possible;
  return { primary, more: possible.filter((action) => !primary.includes(action)) };
}

/** The label of an action on several resources, of which `fit` of `all` allow it. */
export function labelFor({ label, destructive }: Action, fit: number, all: number): string {
  if (!fit || fit === all) return label;
  return `${label.replace("…", "")} ${fit}${destructive ? "…" : ""}`;
}
