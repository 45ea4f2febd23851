/**
 * Checks the lengths of files and functions, and how deep statements are nested, against the limits
 * in size-limits.ts. It complains when it finds no file.
 */
import type { Node } from 'oxc-parser';
import {
  MAX_FILE_LINES,
  MAX_FUNCTION_LINES,
  MAX_NESTING,
  MAX_TEST_FILE_LINES,
  MAX_WIRING_FILE_LINES,
} from './size-limits.ts';
import type { Findings, SourceTree } from './source-tree.ts';
import { childrenOf, linesOf, type Place } from './syntax-tree.ts';

const PLACES = '{src,scripts,bench,examples,test}/**/*.ts';
/** Files that are generated, or not ours. */
const EXEMPT = /^src\/wire\/gen\/|\/(?:fixtures|node_modules)\//;

/** Files that connect services. */
const WIRING = 'src/gitaly/services/';

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
const NESTING = new Set([
  'IfStatement',
  'ForStatement',
  'ForInStatement',
  'ForOfStatement',
  'WhileStatement',
  'DoWhileStatement',
  'SwitchStatement',
  'TryStatement',
]);

/** A function, or a part of it, while its tree is walked. */
interface Scope {
  readonly file: string;
  readonly lineOf: (position: number) => number;
  /** Name of the innermost function that has one. */
  readonly name: string;
  readonly depth: number;
}

export function checkSizes(tree: SourceTree): Findings {
  const files = tree.files(PLACES, EXEMPT);
  const complaints = files.flatMap((file) => [...problemsIn(tree, file)]);
  if (files.length === 0) complaints.push('saw no file');
  return { complaints, summary: `${files.length} files` };
}

function* problemsIn(tree: SourceTree, file: string): Generator<string> {
  const source = tree.text(file);
  const isTest = file.startsWith('test/') || file.endsWith('.test.ts');
  const lines = source.split('\n').length - 1;
  const maxLines = isTest ? MAX_TEST_FILE_LINES : maxLinesOf(file);
  if (lines > maxLines) yield `${file}: ${lines} lines; the limit is ${maxLines}`;
  if (isTest) return;
  yield* problemsBelow(tree.program(file), undefined, { file, lineOf: linesOf(source), name: '', depth: 0 });
}

function maxLinesOf(file: string): number {
  return file.startsWith(WIRING) ? MAX_WIRING_FILE_LINES : MAX_FILE_LINES;
}

function* problemsBelow(node: Node, place: Place | undefined, outer: Scope): Generator<string> {
  let scope = outer;
  if (FUNCTIONS.has(node.type)) {
    scope = { ...outer, name: nameOf(node, place) ?? outer.name, depth: 0 };
    yield* lengthProblem(node, place, scope);
  } else if (NESTING.has(node.type) && !isElseIf(node, place)) {
    scope = { ...outer, depth: outer.depth + 1 };
    if (scope.depth === MAX_NESTING + 1)
      yield `${scope.file}:${scope.lineOf(node.start)}: ${scope.name}: nested deeper than ${MAX_NESTING}`;
  }
  for (const [child, childPlace] of childrenOf(node)) yield* problemsBelow(child, childPlace, scope);
}

function* lengthProblem(
  node: Node,
  place: Place | undefined,
  { file, lineOf, name }: Scope,
): Generator<string> {
  // A method begins with its name.
  const start = place?.key === 'value' ? place.parent.start : node.start;
  const first = lineOf(start);
  const lines = lineOf(node.end) - first + 1;
  if (lines > MAX_FUNCTION_LINES)
    yield `${file}:${first}: ${name}: ${lines} lines; the limit is ${MAX_FUNCTION_LINES}`;
}

function nameOf(node: Node, place: Place | undefined): string | undefined {
  if ('id' in node && node.id?.type === 'Identifier') return node.id.name;
  const parent = place?.parent;
  const named = parent && ('key' in parent ? parent.key : 'id' in parent ? parent.id : undefined);
  return named?.type === 'Identifier' || named?.type === 'PrivateIdentifier' ? named.name : undefined;
}

function isElseIf(node: Node, place: Place | undefined): boolean {
  return node.type === 'IfStatement' && place?.key === 'alternate' && place.parent.type === 'IfStatement';
}
