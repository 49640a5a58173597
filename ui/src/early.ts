import type { Model, Received } from "./model";

/** What came for a widget before it had a view. */
export type EarlyMessage = readonly [content: Received, buffers: readonly DataView[]];

const LASTS = 5_000; // milliseconds after which something else may be true

const listeners = new Map<string, () => readonly EarlyMessage[]>();

/** A widget's `initialize`: the kernel tells what its first view shows without waiting until that says hello. */
export function listenEarly({ model }: { model: Model }): void {
  const id = model.get("widget_id") as string;
  let messages: { at: number; message: EarlyMessage }[] = [];
  const recent = () => messages.filter(({ at }) => performance.now() - at < LASTS);
  const listen = (content: Received, buffers: readonly DataView[]) => {
    messages = [...recent(), { at: performance.now(), message: [content, buffers] }];
  };
  model.on("msg:custom", listen);
  listeners.set(id, () => {
    model.off("msg:custom", listen);
    listeners.delete(id);
    return recent().map(({ message }) => message);
  });
}

/** What came early for a view that opens; the first one takes it. */
export function takeEarly(model: Model): readonly EarlyMessage[] {
  return listeners.get(model.get("widget_id") as string)?.() ?? [];
}
