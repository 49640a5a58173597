import { describe, expect, test } from "vitest";
import { findMagic } from "../../src/lab/cell_magics";

const shell = { name: "shell" };
const python = { name: "ipython" };
const dockerfile = { name: "Dockerfile" };
const plain = { name: "" };

describe("the language of a cell's body", () => {
  test.each([
    ["%%devbox exec", shell],
    ["%%devbox exec --timeout 10m -o result --on 'web-*'", shell],
    ["%%devbox   exec", shell],
    ["%%runloop devbox exec", shell],
    ["\n  \n%%devbox exec", shell],
    ["%%devbox exec\r", shell],
    ["%%devbox python --in numbers --out total", python],
    ["%%runloop devbox python", python],
    ["%%runloop blueprint build science --size small", dockerfile],
    ["%%devbox script", shell],
    ["%%devbox script --proc node", { program: "node" }],
    ["%%devbox script --proc 'perl -w' -o result", { program: "perl -w" }],
    ['%%devbox script -o result --proc="python3 -"', { program: "python3 -" }],
    ["%%devbox script --proc", shell],
    ["%%devbox script --cwd node", shell],
    ["%%devbox write app/config.json", { file: "app/config.json" }],
    ["%%devbox write --mode 755 --on web run.sh", { file: "run.sh" }],
    ["%%devbox write -a --mode=644 notes.md", { file: "notes.md" }],
    ["%%devbox write 'my notes.md'", { file: "my notes.md" }],
    ["%%devbox write my\\ notes.md", { file: "my notes.md" }],
    ["%%devbox write {{folder + '/a.py'}}", { file: "{{folder + /a.py}}" }],
    ["%%devbox write 'not closed.py", { file: "not closed.py" }],
    ["%%devbox write", plain],
  ])("%j", (head, body) => {
    expect(findMagic(`${head}\nbody`)?.body).toEqual(body);
  });

  test.each([
    ["another magic", "%%time"],
    ["another magic that begins so", "%%devboxes exec"],
    ["a subcommand without a cell", "%%devbox list"],
    ["none yet", "%%devbox"],
    ["a line magic", "%devbox exec ls"],
    ["Python above it", "1\n%%devbox exec"],
    ["an indented one, which IPython does not know", " %%devbox exec"],
    ["a name of every object", "%%devbox constructor"],
    ["nothing", ""],
  ])("%s stays Python", (_, head) => {
    expect(findMagic(head)).toBeNull();
  });
});

describe("the parts of its line", () => {
  test("each word has its place and kind", () => {
    const cell = "\n%%devbox exec -o 'my result' --env=\"A=b c\" x\nls";
    const magic = findMagic(cell);
    const words = magic?.words.map(({ from, to, kind }) => [cell.slice(from, to), kind]);
    expect(words).toEqual([
      ["%%devbox", "magic"],
      ["exec", "magic"],
      ["-o", "option"],
      ["'my result'", "value"],
      ['--env="A=b c"', "option"],
      ["x", "value"],
    ]);
    expect(cell.slice(magic?.from, magic?.to)).toBe("%%devbox exec -o 'my result' --env=\"A=b c\" x");
  });

  test("an expression in braces is one word", () => {
    const cell = "%%devbox exec --env {{name + ' b'}} -o x";
    const words = findMagic(cell)?.words.map(({ from, to }) => cell.slice(from, to));
    expect(words).toEqual(["%%devbox", "exec", "--env", "{{name + ' b'}}", "-o", "x"]);
  });
});
