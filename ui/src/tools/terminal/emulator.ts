type Files = { module: Uint8Array; style: Uint8Array };

/** The module `xterm.ts`, and its style sheet. */
export interface Emulator {
  module: typeof import("./xterm");
  style: string;
}

/** The emulator of a page: all terminals share one, whichever of them asked for it. */
interface Shared {
  emulator: Promise<Emulator>;
  arrive: (files: Files) => void;
  hasArrived: boolean;
}

const page = globalThis as { __runloopXterm?: Shared };

/** The page's emulator. `ask` is called where it has not come yet: its kernel may be gone that was asked before. */
export function loadEmulator(ask: () => void): Promise<Emulator> {
  const shared = sharedEmulator();
  if (!shared.hasArrived) ask();
  return shared.emulator;
}

/** The emulator has come from the kernel. */
export function emulatorArrived(files: Files): void {
  const shared = sharedEmulator();
  shared.hasArrived = true;
  shared.arrive(files);
}

function sharedEmulator(): Shared {
  page.__runloopXterm ??= newShared();
  return page.__runloopXterm;
}

function newShared(): Shared {
  let arrive: (files: Files) => void = () => undefined;
  const files = new Promise<Files>((resolve) => {
    arrive = resolve;
  });
  return { emulator: files.then(importEmulator), arrive, hasArrived: false };
}

async function importEmulator({ module, style }: Files): Promise<Emulator> {
  const url = URL.createObjectURL(new Blob([module as Uint8Array<ArrayBuffer>], { type: "text/javascript" }));
  try {
    return { module: await import(url), style: new TextDecoder().decode(style) };
  } finally {
    URL.revokeObjectURL(url);
  }
}
