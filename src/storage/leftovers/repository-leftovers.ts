import { lstat, readdir } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { entryNamesIn } from '#base/files/typed-entries';
import { REFERENCE_DRAFT } from '../lifecycle/reference-files.ts';
import { QUARANTINE } from '../quarantine/stale-quarantines.ts';

/** Start of this process, in milliseconds since 1970. */
export const OWN_START_MS = performance.timeOrigin;

/** Kinds of leftovers: labels of a metric, those of Gitaly where it has them. */
export type LeftoverKind =
  | 'locks'
  | 'objectdirs'
  | 'objects'
  | 'packedrefslock'
  | 'packedrefsnew'
  | 'reflocks'
  | 'refmigrations'
  | 'reftablelocks'
  | 'worktrees';

/** A file or a directory that an interrupted change left. */
export interface Leftover {
  readonly kind: LeftoverKind;
  /** Absolute. */
  readonly path: string;
}

/**
 * Matches locks of a reftable, of its list and of single tables, and tables that git has not
 * finished.
 */
export const REFTABLE_REST = /\.lock$|\.temp\.\w+$/;

/** Places of files and directories that git and we first make under another name, by directory. */
const PLACES: readonly {
  readonly kind: LeftoverKind;
  readonly directory: string;
  readonly name: RegExp;
}[] = [
  { kind: 'packedrefslock', directory: '', name: /^packed-refs\.lock$/ },
  { kind: 'packedrefsnew', directory: '', name: /^packed-refs\.new$/ },
  { kind: 'locks', directory: '', name: /(?<!^packed-refs)\.lock$/ },
  { kind: 'refmigrations', directory: '', name: REFERENCE_DRAFT },
  { kind: 'worktrees', directory: 'gitlab-worktree', name: /^am-/ },
  { kind: 'locks', directory: 'info', name: /\.lock$/ },
  { kind: 'objectdirs', directory: 'objects', name: QUARANTINE },
  { kind: 'objects', directory: 'objects', name: /^(?:tmp_obj_|merge-)/ },
  { kind: 'locks', directory: 'objects/info', name: /\.lock$/ },
  { kind: 'locks', directory: 'objects/info/commit-graphs', name: /\.lock$|^tmp_/ },
  { kind: 'objects', directory: 'objects/pack', name: /^(?:tmp_|\.tmp-)(?!.*\.lock$)/ },
  { kind: 'locks', directory: 'objects/pack', name: /\.lock$/ },
  { kind: 'reftablelocks', directory: 'reftable', name: REFTABLE_REST },
  { kind: 'worktrees', directory: 'worktrees', name: /^am-/ },
];
const FAN_OUT = /^[0-9a-f]{2}$/;

/**
 * Lists what interrupted changes may have left in a repository: locks, temporary files and
 * quarantines that were made before `bornBeforeMs`. The caller has to know whether they are in use.
 */
export async function* repositoryLeftovers(
  repositoryPath: string,
  bornBeforeMs: number,
): AsyncGenerator<Leftover> {
  for (const { kind, directory, name } of PLACES)
    for await (const path of oldIn(`${repositoryPath}/${directory}`, name, bornBeforeMs))
      yield { kind, path };
  for (const entry of await entryNamesIn(`${repositoryPath}/objects`))
    if (FAN_OUT.test(entry))
      for await (const path of oldIn(`${repositoryPath}/objects/${entry}`, /^tmp_obj_/, bornBeforeMs))
        yield { kind: 'objects', path };
  const references = await readdir(`${repositoryPath}/refs`, { recursive: true, encoding: 'utf8' }).catch(
    ignoreMissing,
  );
  for (const reference of references ?? []) {
    const path = `${repositoryPath}/refs/${reference}`;
    if (reference.endsWith('.lock') && (await isOld(path, bornBeforeMs))) yield { kind: 'reflocks', path };
  }
}

async function* oldIn(directory: string, name: RegExp, bornBeforeMs: number): AsyncGenerator<string> {
  for (const entry of await entryNamesIn(directory)) {
    const path = `${directory.replace(/\/$/, '')}/${entry}`;
    if (name.test(entry) && (await isOld(path, bornBeforeMs))) yield path;
  }
}

/**
 * Reports whether a file is older than a time. A file system that does not record the creation of a
 * file shows its last change instead.
 */
async function isOld(path: string, bornBeforeMs: number): Promise<boolean> {
  const stats = await lstat(path).catch(ignoreMissing);
  return stats !== undefined && (stats.birthtimeMs || stats.ctimeMs) < bornBeforeMs;
}
