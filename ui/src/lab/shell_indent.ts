import { getIndentUnit, indentService } from "@codemirror/language";
import { EditorState, type Extension } from "@codemirror/state";
import { findMagic, HEAD, type Magic } from "./cell_magics";
import { languageOfProgram } from "./programs";

const OPENS = /(?:^|[;&|\s])(?:then|do|else|in)\s*(?:#.*)?$|[{(]\s*(?:#.*)?$|\\$/;
const CLOSES = /^\s*(?:fi|done|esac|elif\b.*|else|[})].*)$/;

/** The steps by which a line of a shell script is indented more, or less, than the last line before it that has text. */
export function indentSteps(before: string, line: string): number {
  return Number(OPENS.test(before)) - Number(CLOSES.test(line));
}

/** Indentation of shell scripts below a magic: the language that JupyterLab has only keeps the column. */
export function shellIndentation(): Extension {
  return [
    indentService.of((context, position) => {
      const magic = shellMagic(context.state);
      if (!magic || position <= magic.to) return undefined;
      let before = context.lineAt(position, -1);
      while (before.from > magic.to && !before.text.trim()) before = context.lineAt(before.from - 1, -1);
      if (before.from <= magic.to) return 0;
      const steps = indentSteps(before.text, context.lineAt(position, 1).text);
      return Math.max(0, context.lineIndent(before.from, 1) + steps * getIndentUnit(context.state));
    }),
    EditorState.languageData.of((state, position) => {
      const magic = shellMagic(state);
      return magic && position > magic.to ? [{ indentOnInput: CLOSES }] : [];
    }),
  ];
}

function shellMagic(state: EditorState): Magic | null {
  const magic = findMagic(state.sliceDoc(0, HEAD));
  return magic && isShell(magic) ? magic : null;
}

function isShell({ body }: Magic): boolean {
  if ("program" in body) return ["shell", "bash", "sh", "zsh"].includes(languageOfProgram(body.program));
  return "name" in body && body.name === "shell";
}
