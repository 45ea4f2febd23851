/** Finds the regular expressions of source files, in their syntax trees. */
import { posix } from 'node:path';
import type { SourceTree } from '../source-tree.ts';
import { isNode, type Node, walk } from './syntax-node.ts';

/** A regular expression in a source file. */
export interface Expression {
  /** Path below the root. */
  readonly file: string;
  readonly line: number;
  /** The pattern; `undefined` if it is known only at run time. */
  readonly source: string | undefined;
  readonly flags: string;
}

/** Methods of strings that compile a text they are given. */
const COMPILING_METHODS = new Set(['match', 'matchAll', 'search']);

/**
 * Returns the expressions of a file: literals, and calls of `RegExp` whose arguments are constants,
 * also imported ones.
 */
export function findExpressions(tree: SourceTree, file: string): Expression[] {
  const text = tree.text(file);
  const program = tree.program(file);
  const scope = scopeOf(tree, file);
  const found: Expression[] = [];
  const add = (node: Node, source: string | undefined, flags = ''): void => {
    found.push({ file, line: lineAt(text, Number(node.start)), source, flags });
  };
  walk(program, (node) => {
    if (node.type === 'Literal' && isRegex(node.regex)) add(node, node.regex.pattern, node.regex.flags);
    else if (isRegExpCall(node) && Array.isArray(node.arguments)) {
      const [pattern, flags] = node.arguments;
      // A copy of another expression, which is found where it is written.
      if (isNode(pattern) && pattern.type === 'Literal' && isRegex(pattern.regex)) return;
      add(node, constantValue(pattern, scope), flags === undefined ? '' : constantValue(flags, scope));
    } else if (compilesText(node, scope)) add(node, undefined);
  });
  return found;
}

/** Returns the constants of a file and those that it imports. */
function scopeOf(tree: SourceTree, file: string): Scope {
  const constants = new Map<string, unknown>();
  const imports = new Map<string, { readonly file: string; readonly name: string }>();
  walk(tree.program(file), (node) => {
    if (node.type === 'VariableDeclarator' && isNode(node.id) && node.id.type === 'Identifier')
      constants.set(String(node.id.name), node.init);
    if (node.type === 'ImportDeclaration' && isNode(node.source) && Array.isArray(node.specifiers)) {
      const target = sourceFile(file, String(node.source.value));
      for (const each of node.specifiers) {
        if (target === undefined || !isNode(each) || !isNode(each.imported) || !isNode(each.local)) continue;
        imports.set(String(each.local.name), { file: target, name: String(each.imported.name) });
      }
    }
  });
  return {
    lookUp(name) {
      const imported = imports.get(name);
      if (imported === undefined) return { node: constants.get(name), scope: this };
      return scopeOf(tree, imported.file).lookUp(imported.name);
    },
  };
}

/** Returns the path of an imported source file; `undefined` for packages. */
function sourceFile(from: string, name: string): string | undefined {
  if (name.startsWith('#')) return `src/${name.slice(1)}.ts`;
  return name.startsWith('.') ? posix.join(posix.dirname(from), name) : undefined;
}

function isRegex(value: unknown): value is { readonly pattern: string; readonly flags: string } {
  return typeof value === 'object' && value !== null && 'pattern' in value && 'flags' in value;
}

function isRegExpCall(node: Node): boolean {
  if (node.type !== 'NewExpression' && node.type !== 'CallExpression') return false;
  return isNode(node.callee) && node.callee.type === 'Identifier' && node.callee.name === 'RegExp';
}

/** Reports whether a call is `text.match(x)` with a text instead of an expression. */
function compilesText(node: Node, scope: Scope): boolean {
  if (node.type !== 'CallExpression' || !isNode(node.callee) || !Array.isArray(node.arguments)) return false;
  const { property } = node.callee;
  if (!isNode(property) || !COMPILING_METHODS.has(String(property.name))) return false;
  return node.arguments.length === 1 && constantValue(node.arguments[0], scope) !== undefined;
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** The names that an expression may use. */
interface Scope {
  /** Returns the node that a name is initialised with, and the scope of that node. */
  lookUp(name: string): { readonly node: unknown; readonly scope: Scope };
}

/** Names may be defined by names, but not endlessly. */
const MAX_DEPTH = 20;

/**
 * Returns the text that an expression of the source always has: literals, templates, `String.raw`,
 * sums, joined arrays and constants made of these. `undefined` for any other.
 */
function constantValue(node: unknown, scope: Scope, depth = 0): string | undefined {
  if (!isNode(node) || depth > MAX_DEPTH) return undefined;
  const constantText = (each: unknown): string | undefined => constantValue(each, scope, depth + 1);
  switch (node.type) {
    case 'Literal':
      return typeof node.value === 'string' || typeof node.value === 'number'
        ? String(node.value)
        : undefined;
    case 'TemplateLiteral':
      return templateValue(node, 'cooked', constantText);
    case 'TaggedTemplateExpression':
      return isNode(node.quasi) && isStringRaw(node.tag)
        ? templateValue(node.quasi, 'raw', constantText)
        : undefined;
    case 'BinaryExpression':
      return node.operator === '+' ? joined([node.left, node.right].map(constantText), '') : undefined;
    case 'Identifier': {
      const found = scope.lookUp(String(node.name));
      return constantValue(found.node, found.scope, depth + 1);
    }
    case 'CallExpression':
      return joinValue(node, scope, depth + 1);
    case 'TSAsExpression':
      return constantText(node.expression);
    default:
      return undefined;
  }
}

function templateValue(
  { quasis, expressions }: Node,
  form: 'cooked' | 'raw',
  constantText: (node: unknown) => string | undefined,
): string | undefined {
  if (!Array.isArray(quasis) || !Array.isArray(expressions)) return undefined;
  const texts = quasis.map((each) => String(each.value[form]));
  const values = expressions.map(constantText);
  return joined([...texts.flatMap((text, index) => (index === 0 ? [text] : [values[index - 1], text]))], '');
}

/** Returns the value of `[…].join('|')`. */
function joinValue({ callee, arguments: given }: Node, scope: Scope, depth: number): string | undefined {
  if (!isNode(callee) || !isNode(callee.property) || callee.property.name !== 'join') return undefined;
  const separator = Array.isArray(given) ? constantValue(given[0], scope, depth) : undefined;
  const items = itemsOf(callee.object, scope, depth);
  return separator === undefined || items === undefined ? undefined : joined(items, separator);
}

function itemsOf(node: unknown, scope: Scope, depth: number): (string | undefined)[] | undefined {
  if (!isNode(node) || depth > MAX_DEPTH) return undefined;
  if (node.type === 'Identifier') {
    const found = scope.lookUp(String(node.name));
    return itemsOf(found.node, found.scope, depth + 1);
  }
  if (node.type === 'TSAsExpression') return itemsOf(node.expression, scope, depth + 1);
  if (node.type !== 'ArrayExpression' || !Array.isArray(node.elements)) return undefined;
  return node.elements.flatMap((each: unknown) =>
    isNode(each) && each.type === 'SpreadElement'
      ? (itemsOf(each.argument, scope, depth + 1) ?? [undefined])
      : [constantValue(each, scope, depth + 1)],
  );
}

function joined(texts: readonly (string | undefined)[], separator: string): string | undefined {
  return texts.includes(undefined) ? undefined : texts.join(separator);
}

function isStringRaw(tag: unknown): boolean {
  return isNode(tag) && isNode(tag.property) && tag.property.name === 'raw';
}
