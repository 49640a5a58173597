import { wordsOf } from "./words";

/** The languages of programs whose own name is none, by names of JupyterLab. */
const LANGUAGES: Readonly<Record<string, string>> = {
  ash: "shell",
  bun: "typescript",
  dash: "shell",
  deno: "typescript",
  fish: "shell",
  ipython: "python",
  ksh: "shell",
  mysql: "mysql",
  nodejs: "javascript",
  node: "javascript",
  psql: "postgresql",
  pypy: "python",
  rscript: "r",
  sqlite: "sqlite",
  ts: "typescript",
  tsx: "typescript",
};
const WRAPPERS = new Set(["env", "exec", "sudo", "time", "nice"]);

/** The name of the language that a command's program reads, such as `/usr/bin/python3.12 -`. */
export function languageOfProgram(command: string): string {
  const words = wordsOf(command).map((word) => word.text);
  const program = words.find((word) => !WRAPPERS.has(baseOf(word)) && !/^-|^\w+=/.test(word)) ?? "";
  const name = baseOf(program).replace(/-?[\d.]+$/, "");
  return LANGUAGES[name] ?? name;
}

const baseOf = (path: string) => path.slice(path.lastIndexOf("/") + 1).toLowerCase();
