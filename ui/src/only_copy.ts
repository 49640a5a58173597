/** A hash of the sources, which esbuild puts here. */
declare const BUILD: string;

/**
 * The page's only copy of what a module exports. Each widget brings its module along, and anywidget runs it anew, though
 * the browser has compiled an equal one already: half of what a panel's script takes until it is shown.
 */
export function onlyCopy<T>(name: string, exported: T): T {
  const copies = globalThis as unknown as Record<symbol, T | undefined>;
  const key = Symbol.for(`runloop-jupyter ${name} ${BUILD}`);
  copies[key] ??= exported;
  return copies[key];
}
