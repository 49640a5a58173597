import { insertNewlineAndIndent } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import {
  ensureSyntaxTree,
  indentUnit,
  LanguageSupport,
  StreamLanguage,
  type StreamParser,
  syntaxTree,
} from "@codemirror/language";
import { dockerFile } from "@codemirror/legacy-modes/mode/dockerfile";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { EditorState } from "@codemirror/state";
import type { IEditorLanguage, IEditorLanguageRegistry } from "@jupyterlab/codemirror";
import { highlightTree, tagHighlighter, tags } from "@lezer/highlight";
import { describe, expect, test, vi } from "vitest";
import { addMagics, withMagics } from "../../src/lab/mixed_language";

const plain: StreamParser<null> = {
  token(stream) {
    stream.skipToEnd();
    return null;
  },
};

/** JupyterLab's registry, with three languages in it. */
class Languages implements IEditorLanguageRegistry {
  private readonly known: IEditorLanguage[] = [
    { name: "shell", support: new LanguageSupport(StreamLanguage.define(shell)) },
    { name: "dockerfile", support: new LanguageSupport(StreamLanguage.define(dockerFile)) },
    { name: "python", support: python() },
    {
      name: "none",
      support: new LanguageSupport(StreamLanguage.define(plain)),
    },
  ];

  findByName(name: string): IEditorLanguage | null {
    return this.known.find((each) => each.name === name.toLowerCase()) ?? null;
  }

  findByMIME(): null {
    return null;
  }

  findByFileName(name: string): IEditorLanguage | null {
    return name.endsWith(".py") ? this.findByName("python") : null;
  }

  async getLanguage(): Promise<null> {
    return null;
  }
}

const support = withMagics(python(), new Languages());
const highlighter = tagHighlighter([
  { tag: tags.keyword, class: "keyword" },
  { tag: tags.propertyName, class: "option" },
  { tag: tags.string, class: "string" },
  { tag: tags.comment, class: "comment" },
]);

function stateOf(cell: string): EditorState {
  const state = EditorState.create({ doc: cell, extensions: [support, indentUnit.of("    ")] });
  ensureSyntaxTree(state, cell.length, 5_000);
  return state;
}

function coloured(cell: string): string[] {
  const found: string[] = [];
  highlightTree(syntaxTree(stateOf(cell)), highlighter, (from, to, kind) => {
    found.push(`${kind} ${cell.slice(from, to)}`);
  });
  return found;
}

describe("colours", () => {
  test.each([
    ["%%devbox exec -o x\nfor a in *; do ls; done", ["keyword for", "keyword in", "keyword do", "keyword done"]],
    ["%%runloop blueprint build a\nFROM b # c\nRUN ls", ["keyword FROM", "keyword RUN"]],
    ["%%devbox python\nimport os # c", ["keyword import", "comment # c"]],
    ["%%devbox write a.py\nimport os", ["keyword import"]],
    ["%%devbox script --proc python3\nimport os", ["keyword import"]],
  ])("%j", (cell, expected) => {
    const line = cell.slice(0, cell.indexOf("\n"));
    const body = coloured(cell).filter((part) => !line.includes(part.slice(part.indexOf(" ") + 1)));
    expect(body).toEqual(expect.arrayContaining(expected));
  });

  test("the magic's own line is a command line", () => {
    expect(coloured("%%devbox exec -o 'a b'")).toEqual([
      "keyword %%devbox",
      "keyword exec",
      "option -o",
      "string 'a b'",
    ]);
  });

  test("text of no language has none", () => {
    expect(coloured("%%devbox write notes\nfor a in b: 'c'").map((part) => part.split(" ")[0])).toEqual([
      "keyword",
      "keyword",
      "string",
    ]);
  });

  test("another cell has the tree that Python gives it", () => {
    const cell = "%%time\nfor a in b:\n    c('d')";
    const alone = EditorState.create({ doc: cell, extensions: [python()] });
    const tree = ensureSyntaxTree(alone, cell.length, 5_000);
    expect(String(syntaxTree(stateOf(cell)))).toBe(String(tree));
  });
});

describe("comments", () => {
  test.each(["%%devbox exec\nls", "%%devbox exec\nls\npwd"])("of the body's language, also at its end: %j", (cell) => {
    const [tokens] = stateOf(cell).languageDataAt<{ line: string }>("commentTokens", cell.length);
    expect(tokens?.line).toBe("#");
  });
});

describe("Enter at the end indents", () => {
  test.each([
    ["%%devbox exec\nif true; then", "    "],
    ["%%devbox exec\nif true; then\n    ls", "    "],
    ["%%devbox exec\nif true; then\n    ls\nfi", ""],
    ["%%devbox exec", ""],
    ["%%devbox python\nif True:", "    "],
    ["%%devbox python\ndef f():\n    return 1", "    "],
    ["if True:", "    "],
  ])("%j by %j", (cell, indentation) => {
    expect(afterEnter(cell)).toBe(`${cell}\n${indentation}`);
  });
});

function afterEnter(cell: string): string {
  let state = stateOf(cell);
  state = state.update({ selection: { anchor: cell.length } }).state;
  insertNewlineAndIndent({ state, dispatch: (transaction) => void (state = transaction.state) });
  return state.doc.toString();
}

describe("IPython's language gets the magics", () => {
  test("without being loaded, once somebody loads it", async () => {
    const load = vi.fn(async () => python());
    const ipython: IEditorLanguage = { name: "ipython", load };
    addMagics(ipython, new Languages());
    expect(load).not.toHaveBeenCalled();
    expect((await ipython.load?.())?.language.name).toBe("ipython");
  });

  test("where it is loaded already", () => {
    const ipython: IEditorLanguage = { name: "ipython", support: python() };
    addMagics(ipython, new Languages());
    expect(ipython.support?.language.name).toBe("ipython");
  });
});
