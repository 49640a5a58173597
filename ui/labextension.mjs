/**
 * Builds the JupyterLab extension: what JupyterLab's own builder makes of it, by esbuild alone.
 * JupyterLab loads one script, which gives it a container of module federation: an object with `init` and `get`.
 * Packages that JupyterLab shares are taken from it, so that nothing is bundled but our own code.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const SOURCE = new URL("src/lab", import.meta.url).pathname;
const SHARED = /^@(jupyterlab|lumino|codemirror|lezer)\//;
const { version, description, license } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
const NAME = "runloop-jupyter";

export async function buildLabExtension(folder) {
  const script = container(await bundledScript(), await bundledStyles());
  const hash = createHash("sha256").update(script).digest("hex").slice(0, 20);
  const load = `static/remoteEntry.${hash}.js`;
  mkdirSync(join(folder, "static"), { recursive: true });
  writeFileSync(join(folder, load), script);
  cpSync(join(SOURCE, "schema"), join(folder, "schemas", NAME), { recursive: true });
  writeJson(join(folder, "package.json"), {
    name: NAME,
    version,
    description,
    license,
    dependencies: { "@jupyterlab/application": "^4.4.0" },
    jupyterlab: { extension: true, _build: { load, extension: "./extension", style: "./style" } },
  });
  writeJson(join(folder, "install.json"), {
    packageManager: "python",
    packageName: NAME,
    uninstallInstructions: `pip uninstall ${NAME}`,
  });
}

async function bundledScript() {
  const external = [];
  const shared = {
    name: "shared",
    setup(bundle) {
      bundle.onResolve({ filter: SHARED }, ({ path }) => {
        external.push(path);
        return { path, external: true };
      });
    },
  };
  const text = await bundled("index.ts", { format: "cjs", plugins: [shared] });
  return { text, needs: [...new Set(external)].filter((name) => text.includes(`require("${name}")`)).sort() };
}

async function bundledStyles() {
  return bundled("styles.css");
}

async function bundled(entry, options = {}) {
  const built = await build({
    entryPoints: [join(SOURCE, entry)],
    bundle: true,
    minify: true,
    write: false,
    target: "es2022",
    charset: "utf8",
    logLevel: "warning",
    ...options,
  });
  return built.outputFiles[0].text;
}

/** The script. Of a package that is shared in several versions, the one that runs is taken, else the newest. */
function container({ text, needs }, styles) {
  return `(() => {
let scope;
async function shared(name) {
  const versions = Object.entries(scope[name] ?? {}).sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  const found = versions.find(([, each]) => each.loaded) ?? versions.at(-1);
  if (!found) throw new Error("${NAME}: JupyterLab shares no " + name);
  return [name, (await found[1].get())()];
}
async function extension() {
  const modules = new Map(await Promise.all(${JSON.stringify(needs)}.map(shared)));
  const module = { exports: {} };
  ((module, exports, require) => {${text}})(module, module.exports, name => modules.get(name));
  return module.exports;
}
function style() {
  document.head.append(Object.assign(document.createElement("style"), { textContent: ${JSON.stringify(styles)} }));
  return {};
}
(window._JUPYTERLAB ??= {})["${NAME}"] = {
  init(shareScope) { scope = shareScope; },
  async get(name) {
    const found = name === "./style" ? style() : await extension();
    return () => found;
  },
};
})();
`;
}

function writeJson(path, content) {
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
}
