import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { affectedTests } from './changed-tests.ts';
import { hashOf, IS_SOURCE, RECORDS, recordOf } from './executed-code.ts';
import { parseHunks, type SourceChange, sourceChange } from './source-change.ts';

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
