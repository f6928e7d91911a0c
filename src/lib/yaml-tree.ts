import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
} from "yaml";
import type { FileKind } from "./file-kind.ts";
import { dotted, type Place, type Problem } from "./file-problem.ts";

/** YAML or JSON (which is YAML) as plain data, with the place of every key and value. */
export type YamlTree = {
  /** Objects have no prototype, so that `__proto__` is a key like any other. */
  readonly value: unknown;
  /** The place of the value at `path`, or of its key; undefined when the file has no such thing. The root is always there. */
  find(path: readonly string[], of: "key" | "value"): Place | undefined;
  /** What is wrong with the tree itself; the rest of it is usable. */
  readonly problems: readonly Problem[];
};

const DEPTH_MAX = 16;
const SYNTAX_ERRORS_MAX = 20;

/** Parses a file of this kind. Throws its refusal when it is not one YAML document, or much too intricate. */
export function parseYamlTree(kind: FileKind, file: string, text: string): YamlTree {
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const refuse = (offset: number, says: string) =>
    kind.refusal(file, [{ place: placeAt(offset), path: "", says }]);

  let lexemes = 0;
  for (const _ of new Lexer().lex(text)) {
    lexemes += 1;
    if (lexemes > kind.lexemesMax) throw refuse(0, `is much too intricate for a ${kind.name}`);
  }
  const document = parseDocument<ParsedNode>(text, {
    schema: "core",
    version: "1.2",
    strict: true,
    merge: false,
    resolveKnownTags: false,
    // The parser compares each key with all before it; the walk below does not.
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: lines,
    logLevel: "error",
  });
  if (document.errors.length > 0) {
    const problems = document.errors.slice(0, SYNTAX_ERRORS_MAX).map((error) => ({
      place: placeAt(error.pos[0]),
      path: "",
      says: syntaxError(kind, error.code, error.message),
    }));
    throw kind.refusal(file, problems);
  }
  const { directives, warnings } = document;
  const hasTagDirective = Object.keys(directives?.tags ?? {}).some((handle) => handle !== "!!");
  if (directives?.yaml.explicit || hasTagDirective || warnings.some(isDirectiveWarning)) {
    throw refuse(0, `has a YAML directive (%…); ${kind.name}s have none`);
  }
  if (document.contents === null) {
    if (kind.empty !== undefined) throw refuse(0, kind.empty);
    const start = placeAt(0);
    const find = (path: readonly string[]) => (path.length === 0 ? start : undefined);
    return { value: Object.create(null), problems: [], find };
  }
  return new TreeWalk(kind, placeAt).tree(document.contents);
}

/**
 * Where the value at `path`, or its key, stands; else what `elsewhere` says of it; else the nearest of those above it.
 */
export function nearestPlace(
  tree: YamlTree,
  path: readonly string[],
  of: "key" | "value",
  elsewhere: (path: readonly string[]) => Place | undefined = () => undefined,
): Place {
  const place = tree.find(path, of) ?? elsewhere(path);
  return place ?? nearestPlace(tree, path.slice(0, -1), "value", elsewhere);
}

function isDirectiveWarning({ code }: { code: string }): boolean {
  return code === "BAD_DIRECTIVE";
}

function syntaxError({ name }: FileKind, code: string, message: string): string {
  if (code === "MULTIPLE_DOCS") return `a second document begins here; a ${name} has one`;
  if (code === "RESOURCE_EXHAUSTION") return `nested deeper than ${DEPTH_MAX} levels`;
  return `not valid YAML: ${message}`;
}

/** One pass over the parser's nodes: data, places and problems at once. */
class TreeWalk {
  readonly #kind: FileKind;
  readonly #placeAt: (offset: number) => Place;
  readonly #places = new Map<string, { key: Place; value: Place }>();
  readonly #problems: Problem[] = [];

  constructor(kind: FileKind, placeAt: (offset: number) => Place) {
    this.#kind = kind;
    this.#placeAt = placeAt;
  }

  tree(root: Node): YamlTree {
    const start = this.#placeOf(root);
    this.#places.set("[]", { key: start, value: start });
    const value = this.#data(root, []);
    const places = this.#places;
    return {
      value,
      problems: this.#problems,
      find: (path, of) => places.get(JSON.stringify(path))?.[of],
    };
  }

  #data(node: unknown, path: readonly string[]): unknown {
    if (!isNode(node)) return null;
    const refuse = (what: string) =>
      this.#problem(node, path, `${what} are not allowed in a ${this.#kind.name}`);
    if (isAlias(node)) return refuse("aliases (*)");
    if (node.anchor !== undefined) refuse("anchors (&)");
    if (node.tag !== undefined) refuse("tags (!)");
    if (isScalar(node)) return node.value;
    if (path.length >= DEPTH_MAX) {
      return this.#problem(node, path, `nested deeper than ${DEPTH_MAX} levels`);
    }
    if (isSeq(node)) return node.items.map((item, at) => this.#item(item, [...path, String(at)]));
    return isMap(node) ? this.#mapping(node.items, path) : null;
  }

  #item(item: unknown, path: readonly string[]): unknown {
    const place = this.#placeOf(item);
    this.#places.set(JSON.stringify(path), { key: place, value: place });
    return this.#data(item, path);
  }

  #mapping(pairs: readonly Pair[], path: readonly string[]): unknown {
    const data = Object.create(null) as Record<string, unknown>;
    for (const { key, value } of pairs) {
      if (!isScalar(key)) {
        this.#problem(key, path, "a key must be plain text");
        continue;
      }
      const name = key.source ?? String(key.value);
      const at = [...path, name];
      if (Object.hasOwn(data, name)) {
        this.#problem(key, at, "is here twice; a key may be given once");
        continue;
      }
      // Tags and anchors on a key are refused like those on a value.
      this.#data(key, at);
      const place = this.#placeOf(key);
      const found = isNode(value) && value.range ? this.#placeOf(value) : place;
      this.#places.set(JSON.stringify(at), { key: place, value: found });
      data[name] = this.#data(value, at);
    }
    return data;
  }

  #problem(node: unknown, path: readonly string[], says: string): null {
    this.#problems.push({ place: this.#placeOf(node), path: dotted(path), says });
    return null;
  }

  #placeOf(node: unknown): Place {
    return this.#placeAt((isNode(node) ? node.range?.[0] : undefined) ?? 0);
  }
}
