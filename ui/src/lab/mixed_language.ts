import {
  defineLanguageFacet,
  indentNodeProp,
  Language,
  LanguageSupport,
  languageDataProp,
  ParseContext,
  syntaxTree,
  type TreeIndentContext,
} from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import type { IEditorLanguage, IEditorLanguageRegistry } from "@jupyterlab/codemirror";
import {
  type Input,
  NodeSet,
  NodeType,
  Parser,
  type PartialParse,
  parseMixed,
  Tree,
  type TreeFragment,
} from "@lezer/common";
import { styleTags, tags } from "@lezer/highlight";
import { type BodyLanguage, findMagic, HEAD, type Magic } from "./cell_magics";
import { languageOfProgram } from "./programs";
import { shellIndentation } from "./shell_indent";

const data = defineLanguageFacet();
const NAMES = ["MagicCell", "MagicLine", "MagicName", "MagicOption", "MagicValue", "MagicBody"] as const;
const NODES = new NodeSet(
  NAMES.map((name, id) => NodeType.define({ id, name, top: id === 0, props: id === 0 ? cellProps() : [] })),
).extend(
  styleTags({ MagicName: tags.keyword, MagicOption: tags.propertyName, MagicValue: tags.string }), // all of AA contrast
);
const KINDS = { magic: "MagicName", option: "MagicOption", value: "MagicValue" } as const;

/** Have IPython's language know the magics, from when it is loaded: nothing is loaded for that. */
export function addMagics(ipython: IEditorLanguage, languages: IEditorLanguageRegistry): void {
  const { load, support } = ipython;
  if (support) ipython.support = withMagics(support, languages);
  if (!load) return;
  ipython.load = async () => {
    void languages.getLanguage("shell"); // most cells are of it: the first one has its colours at once
    return withMagics(await load.call(ipython), languages);
  };
}

/**
 * IPython's language, but for cells that begin with a magic of ours: the tree of those is a line and a body, which its
 * own language parses, as Markdown does with code.
 */
export function withMagics(python: LanguageSupport, languages: IEditorLanguageRegistry): LanguageSupport {
  const parser = new MagicParser(python.language.parser, (body) => bodyParser(body, python, languages));
  const language = new Language(data, parser, [], "ipython");
  return new LanguageSupport(language, [python.extension, commentsAtEnd, shellIndentation()]);
}

class MagicParser extends Parser {
  constructor(
    private readonly python: Parser,
    private readonly parserOf: (body: BodyLanguage) => Parser,
  ) {
    super();
  }

  createParse(
    input: Input,
    fragments: readonly TreeFragment[],
    ranges: readonly { from: number; to: number }[],
  ): PartialParse {
    const end = ranges.at(-1)?.to ?? 0;
    const magic = ranges[0]?.from === 0 ? findMagic(input.read(0, Math.min(end, HEAD))) : null;
    if (!magic) return this.python.startParse(input, fragments, ranges);
    const parser = this.parserOf(magic.body);
    const nest = parseMixed((node) => (node.name === "MagicBody" ? { parser } : null));
    return nest(new Parsed(cellTree(magic, end), end), input, fragments, ranges);
  }
}

/** A parse that has ended. */
class Parsed implements PartialParse {
  readonly stoppedAt = null;

  constructor(
    private readonly tree: Tree,
    readonly parsedPos: number,
  ) {}

  advance(): Tree {
    return this.tree;
  }

  stopAt(): void {}
}

function cellTree(magic: Magic, end: number): Tree {
  const children = [lineTree(magic)];
  const positions = [magic.from];
  const body = magic.to + 1;
  if (body < end) {
    children.push(leaf("MagicBody", end - body));
    positions.push(body);
  }
  return new Tree(nodeType("MagicCell"), children, positions, end);
}

function lineTree({ from, to, words }: Magic): Tree {
  const children = words.map((word) => leaf(KINDS[word.kind], word.to - word.from));
  const positions = words.map((word) => word.from - from);
  return new Tree(nodeType("MagicLine"), children, positions, to - from);
}

function leaf(name: (typeof NAMES)[number], length: number): Tree {
  return new Tree(nodeType(name), [], [], length);
}

function nodeType(name: (typeof NAMES)[number]): NodeType {
  return NODES.types[NAMES.indexOf(name)] as NodeType;
}

function bodyParser(body: BodyLanguage, python: LanguageSupport, languages: IEditorLanguageRegistry): Parser {
  if ("name" in body && body.name === "ipython") return python.language.parser;
  const found = find(body, languages) ?? languages.findByName("none");
  if (!found) return ParseContext.getSkippingParser();
  if (found.support) return found.support.language.parser;
  return ParseContext.getSkippingParser(languages.getLanguage(found)); // parsed again once it is loaded
}

function find(body: BodyLanguage, languages: IEditorLanguageRegistry): IEditorLanguage | null {
  if ("file" in body) return languages.findByFileName(body.file);
  return languages.findByName("program" in body ? languageOfProgram(body.program) : body.name);
}

// At the very end of a cell the innermost node is the cell itself: what is asked of it there is asked of the body.

function cellProps() {
  return [languageDataProp.add(() => data), indentNodeProp.add(() => indentCell)];
}

function indentCell(context: TreeIndentContext): number | null {
  const body = context.node.lastChild;
  const strategy = body?.type.prop(indentNodeProp);
  if (!body || !strategy || context.pos < body.from) return 0;
  return strategy(Object.create(context, { node: { value: body } }) as TreeIndentContext);
}

const commentsAtEnd = EditorState.languageData.of((state, position) => {
  const cell = syntaxTree(state).topNode;
  if (cell.name !== "MagicCell" || position !== state.doc.length) return [];
  const facet = cell.lastChild?.type.prop(languageDataProp);
  return facet ? [...state.facet(facet)] : [];
});
