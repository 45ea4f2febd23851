/**
 * The last whole run of the programs that prove a release, in `test/records.json`. The programs
 * write it themselves where `RECORD=1` is set: `RECORD=1 make soak`. `make release-check` reads it.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The recorded runs, and the command of each. */
export const RECORDED = {
  test: 'make test',
  git: 'make test-git with a newer git on the PATH',
  release: 'make test-release',
  soak: 'make soak',
  mutation: 'npm run mutate',
} as const;

export type RecordName = keyof typeof RECORDED;

export interface RunRecord {
  /** `2026-11-28` */
  readonly date: string;
  /** The commit; with `+` if files differ from it. */
  readonly commit: string;
  readonly hasPassed: boolean;
  readonly git: string;
  readonly node: string;
  /** Last lines of the run. */
  readonly figures: readonly string[];
}

const FILE = 'test/records.json';
const ROOT = join(import.meta.dirname, '..');

export function readRecords(root = ROOT): Partial<Record<RecordName, RunRecord>> {
  return JSON.parse(readFileSync(join(root, FILE), 'utf8'));
}

/** Reports whether a name is one of those that are recorded. */
export function isRecorded(name: string): name is RecordName {
  return Object.hasOwn(RECORDED, name);
}

/** Replaces the record of a whole run, if the environment asks for it. */
export function writeRecord(name: RecordName, hasPassed: boolean, figures: readonly string[]): void {
  if (process.env.RECORD !== '1') return;
  const record: RunRecord = {
    date: new Date().toISOString().slice(0, 10),
    commit: commitOf(ROOT),
    hasPassed,
    git: output('git', ['version']).replace('git version ', ''),
    node: process.version,
    figures,
  };
  const records = { ...readRecords(), [name]: record };
  writeFileSync(join(ROOT, FILE), `${JSON.stringify(records, undefined, 2)}\n`);
}

function commitOf(root: string): string {
  const [commit, changes] = [
    output('git', ['-C', root, 'rev-parse', '--short=12', 'HEAD']),
    output('git', ['-C', root, 'status', '--porcelain', '--untracked-files=no', '--', `:!${FILE}`]),
  ];
  return changes === '' ? commit : `${commit}+`;
}

function output(program: string, args: readonly string[]): string {
  return spawnSync(program, args, { encoding: 'utf8' }).stdout.trim();
}
