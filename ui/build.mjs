/**
 * Builds what the Python package carries: a module and a style sheet for each widget, and the terminal emulator.
 * `--check` builds elsewhere, and fails where the package has something else.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { build } from "esbuild";

const TARGET = new URL("../runloop_jupyter/static", import.meta.url).pathname;
const SOURCE = new URL("src", import.meta.url).pathname;
const ENTRIES = {
  panel: `${SOURCE}/panel/index.ts`,
  console: `${SOURCE}/tools/console/index.ts`,
  terminal: `${SOURCE}/tools/terminal/index.ts`,
  xterm: `${SOURCE}/tools/terminal/xterm.ts`,
  logs: `${SOURCE}/tools/logs/index.ts`,
  files: `${SOURCE}/tools/files/index.ts`,
};

async function buildInto(outdir) {
  await build({
    entryPoints: ENTRIES,
    outdir,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "inline", // the licence of the emulator stays in it
    logLevel: "warning",
  });
}

function differences(built, there) {
  const names = new Set([...readdirSync(built), ...readdirSync(there)]);
  return [...names].filter((name) => read(built, name) !== read(there, name));
}

function read(folder, name) {
  return readdirSync(folder).includes(name) ? readFileSync(join(folder, name), "utf8") : null;
}

if (process.argv.includes("--check")) {
  const outdir = mkdtempSync(join(tmpdir(), "runloop-ui-"));
  await buildInto(outdir);
  const stale = differences(outdir, TARGET);
  rmSync(outdir, { recursive: true });
  if (stale.length) {
    console.error(`${stale.join(", ")} in ${basename(TARGET)}/ is not what ui/src builds: run \`make ui\`.`);
    process.exit(1);
  }
} else {
  rmSync(TARGET, { recursive: true, force: true });
  await buildInto(TARGET);
}
