import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Node, parseSync } from 'oxc-parser';
import { childrenOf } from '../syntax-tree.ts';
import { affectedTests } from './changed-tests.ts';
import { hashOf, IS_SOURCE, RECORDS, recordOf } from './executed-code.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Imports that are assumed between a change and a test that executes it without importing it. */
const WITHOUT_IMPORTS = 8;

/**
 * Returns the test files that a change may affect, as `affectedTests` does, without those that have
 * not executed what has changed when they last ran with `--record`. What has no record is chosen by
 * imports and names: tests, and changed files that are new or no sources.
 *
 * @param sources the text of each source file, by its path below the root
 * @param changes the changes of source files that existed before, by their paths
 */
export function executingTests(
  sources: ReadonlyMap<string, string>,
  changed: readonly string[],
  changes: ReadonlyMap<string, SourceChange>,
  directory = join(ROOT, RECORDS),
): Map<string, number> {
  const isChange = (file: string): boolean => changes.has(file);
  const byImports = affectedTests(sources, changed.filter(isChange));
  const found = affectedTests(
    sources,
    changed.filter((file) => !isChange(file)),
  );
  for (const test of sources.keys()) {
    if (!test.endsWith('.test.ts')) continue;
    const distance = byImports.get(test);
    const record = readRecord(test, sources.get(test) ?? '', directory);
    const isAffected = record === undefined ? distance !== undefined : executesAny(record, changes);
    if (isAffected) found.set(test, Math.min(found.get(test) ?? Infinity, distance ?? WITHOUT_IMPORTS));
  }
  return found;
}

/** Returns the record of a test; `undefined` without one, or if the test is another one now. */
function readRecord(test: string, text: string, directory: string): string | undefined {
  const path = recordOf(test, directory);
  if (!existsSync(path)) return undefined;
  const record = readFileSync(path, 'utf8');
  return record.startsWith(`${hashOf(text)}\n`) ? record : undefined;
}

function executesAny(record: string, changes: ReadonlyMap<string, SourceChange>): boolean {
  return changes.entries().some(([file, change]) => {
    const start = record.indexOf(`\n${file} `);
    if (start === -1) return false;
    const [, hash, text = ''] = record.slice(start + 1, record.indexOf('\n', start + 1)).split(' ');
    return change.isWide || hash !== change.hash ? true : overlaps(text.split(',').map(Number), change);
  });
}

/** @param borders the starts and ends, in turns, of what is executed. */
function overlaps(borders: readonly number[], { pieces }: SourceChange): boolean {
  return pieces.some(([start, end]) => {
    const next = borders.findIndex((border) => border > start);
    return next !== -1 && (next % 2 === 1 || (borders[next] ?? end) < end);
  });
}

/** Returns how source files differ from a commit that has them. */
export function sourceChanges(
  sources: ReadonlyMap<string, string>,
  changed: readonly string[],
  commit: string,
): Map<string, SourceChange> {
  const changes = new Map<string, SourceChange>();
  for (const file of changed.filter((path) => IS_SOURCE.test(path))) {
    const before = git('show', `${commit}:${file}`);
    if (before === undefined) continue;
    const hunks = parseHunks(git('diff', '--unified=0', commit, '--', file) ?? '');
    changes.set(file, sourceChange(file, before, sources.get(file) ?? '', hunks));
  }
  return changes;
}

/** Returns the output of git; `undefined` if it fails. */
function git(...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 });
  return status === 0 ? stdout : undefined;
}

/** Lines of a file, which count from 1. An insertion has no old lines, and is behind `first`. */
interface LineRange {
  readonly first: number;
  readonly count: number;
}

/** A changed piece of a file: lines before the change and after it. */
export interface Hunk {
  readonly before: LineRange;
  readonly after: LineRange;
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/gm;

/** Reads the output of `git diff --unified=0` for one file. */
function parseHunks(diff: string): Hunk[] {
  const range = (first = '', count = '1'): LineRange => ({ first: Number(first), count: Number(count) });
  return [...diff.matchAll(HUNK)].map(([, a, b, c, d]) => ({ before: range(a, b), after: range(c, d) }));
}

/** The changed parts of a source file, for the choice of tests that execute them. */
export interface SourceChange {
  /** Hash of the file before the change. */
  readonly hash: string;
  /** Changed pieces inside of functions, as starts and ends in the file before the change. */
  readonly pieces: readonly (readonly [start: number, end: number])[];
  /** True if code outside of functions has changed: whatever executes the file may depend on it. */
  readonly isWide: boolean;
}

/** Compares a source file before and after a change. Comments, imports and types do not count. */
export function sourceChange(
  file: string,
  before: string,
  after: string,
  hunks: readonly Hunk[],
): SourceChange {
  const [old, now] = [kindsOf(file, before), kindsOf(file, after)];
  const pieces: (readonly [number, number])[] = [];
  let isWide = false;
  for (const hunk of hunks) {
    const piece = positionsOf(before, hunk.before);
    const kinds = [
      ...(hunk.before.count === 0 ? [] : old.subarray(...piece)),
      ...(hunk.after.count === 0 ? [] : now.subarray(...positionsOf(after, hunk.after))),
    ];
    isWide ||= kinds.includes(OUTSIDE);
    if (kinds.includes(INSIDE)) pieces.push(piece);
  }
  return { hash: hashOf(before), pieces, isWide };
}

/** Kinds of characters: what nothing executes, code of functions, and other code. */
const [NOTHING, INSIDE, OUTSIDE] = [0, 1, 2];
const UNEXECUTED = new Set(['ImportDeclaration', 'TSInterfaceDeclaration', 'TSTypeAliasDeclaration']);
const FUNCTIONS = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
  'MethodDefinition',
]);

/** Returns the kind of each character of a source file. */
function kindsOf(file: string, text: string): Uint8Array {
  const kinds = new Uint8Array(text.length).fill(OUTSIDE);
  const { comments, program } = parseSync(file, text);
  const visit = (node: Node): void => {
    if (UNEXECUTED.has(declaredBy(node).type)) kinds.fill(NOTHING, node.start, node.end);
    else if (isFunction(declaredBy(node))) kinds.fill(INSIDE, node.start, node.end);
    else for (const [child] of childrenOf(node)) visit(child);
  };
  visit(program);
  for (const { start, end } of comments) kinds.fill(NOTHING, start, end);
  for (const { index } of text.matchAll(/\s/g)) kinds[index] = NOTHING;
  return kinds;
}

/** Returns what an export declares; any other node itself. */
function declaredBy(node: Node): Node {
  return (node.type === 'ExportNamedDeclaration' && node.declaration) || node;
}

/** Reports whether a node is a function, or gives functions their names. */
function isFunction(node: Node): boolean {
  if (node.type !== 'VariableDeclaration') return FUNCTIONS.has(node.type);
  return node.declarations.every(({ init }) => init !== null && FUNCTIONS.has(init.type));
}

/** Returns the positions of lines; those of no lines are the end of the line before. */
function positionsOf(text: string, { count, first }: LineRange): readonly [start: number, end: number] {
  const ends = [...text.matchAll(/\n|$/g)].map(({ index }) => index);
  const startOf = (line: number): number => (ends[line - 2] ?? -1) + 1;
  const end = ends[first - 1] ?? text.length;
  return count === 0 ? [end, end + 1] : [startOf(first), startOf(first + count)];
}
