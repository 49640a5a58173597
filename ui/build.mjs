/**
 * Builds what the Python package carries: a module and a style sheet for each widget, the terminal emulator, and the
 * JupyterLab extension.
 * `--check` builds elsewhere, and fails where the package has something else.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, relative } from "node:path";
import { build } from "esbuild";
import { buildLabExtension } from "./labextension.mjs";

const SOURCE = new URL("src", import.meta.url).pathname;
const ENTRIES = {
  panel: `${SOURCE}/panel/index.ts`,
  console: `${SOURCE}/tools/console/index.ts`,
  terminal: `${SOURCE}/tools/terminal/index.ts`,
  xterm: `${SOURCE}/tools/terminal/xterm.ts`,
  logs: `${SOURCE}/tools/logs/index.ts`,
  files: `${SOURCE}/tools/files/index.ts`,
};

const TARGETS = [
  [new URL("../runloop_jupyter/static", import.meta.url).pathname, buildWidgets],
  [new URL("labextension", import.meta.url).pathname, buildLabExtension],
];

async function buildWidgets(outdir) {
  await build({
    entryPoints: ENTRIES,
    outdir,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    define: { BUILD: JSON.stringify(hashOf(SOURCE)) },
    legalComments: "inline", // the licence of the emulator stays in it
    logLevel: "warning",
  });
}

/** A hash of all files in a folder. */
function hashOf(folder) {
  const hash = createHash("sha256");
  for (const name of files(folder).sort()) hash.update(`${name}\n${read(folder, name)}`);
  return hash.digest("hex").slice(0, 20);
}

function differences(built, there) {
  const names = new Set([...files(built), ...files(there)]);
  return [...names].filter((name) => read(built, name) !== read(there, name));
}

function files(folder) {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

function read(folder, name) {
  const path = join(folder, name);
  return existsSync(path) ? readFileSync(path, "utf8") : null;
}

async function check([target, buildTarget]) {
  const outdir = mkdtempSync(join(tmpdir(), "runloop-ui-"));
  await buildTarget(outdir);
  const stale = differences(outdir, target);
  rmSync(outdir, { recursive: true });
  if (stale.length)
    console.error(`${stale.join(", ")} in ${basename(target)}/ is not what ui/src builds: run \`make ui\`.`);
  return stale.length;
}

if (process.argv.includes("--check")) {
  const stale = await Promise.all(TARGETS.map(check));
  process.exit(stale.some(Boolean) ? 1 : 0);
}
for (const [target, buildTarget] of TARGETS) {
  rmSync(target, { recursive: true, force: true });
  await buildTarget(target);
}
