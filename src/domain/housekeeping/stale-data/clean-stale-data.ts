import { readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { messageOf, wrap, wrapped } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import { removeTree } from '#storage/temp-directories';
import { removeEmptySections, removeSettings } from './config-file.ts';
import { findStaleFiles, type StaleFileKind } from './stale-files.ts';

/** Kinds of stale data, in the order in which they are removed. */
export type StaleDataKind =
  | StaleFileKind
  | 'refsemptydir'
  | 'infoattributes'
  | 'configkeys'
  | 'configfullpath'
  | 'configsections'
  | 'failures';

export type StaleDataCounts = ReadonlyMap<StaleDataKind, number>;

export interface CleanStaleDataOptions {
  readonly vote?: Vote | undefined;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970, for tests. */
  readonly nowMs?: number;
  /** Receives the counts at the end, also after an error. */
  readonly onRemoved?: (counts: StaleDataCounts) => void;
  /** Receives a file that could not be removed; the next run tries again. */
  readonly onFailure?: (path: string, reason: string) => void;
}

const FILE_KINDS: readonly StaleFileKind[] = [
  'objects',
  'objectdirs',
  'locks',
  'refs',
  'reflocks',
  'reftablelocks',
  'packfilelocks',
  'packedrefslock',
  'packedrefsnew',
  'serverinfo',
];

/** Settings that earlier releases wrote and that change the result of commands. */
const OBSOLETE_SETTINGS =
  '^(http\\..+\\.extraheader|remote\\..+\\.(fetch|mirror|prune|url)|' +
  'core\\.(commitgraph|sparsecheckout|splitindex))$';
const FULL_PATH = '^gitlab\\.fullpath$';

/**
 * Age since the last change at which an empty directory is removed: a reference may just be written
 * to a new one.
 */
const MIN_AGE_MS = 24 * 60 * 60 * 1000;

/**
 * Removes what killed processes and earlier releases left in a repository. Starts git only to
 * change the `config` file.
 *
 * @throws {GitalyError} `housekeeping could not perform cleanup …`.
 */
export async function cleanStaleData(repository: Repository, options: CleanStaleDataOptions): Promise<void> {
  const counts = new Map<StaleDataKind, number>(FILE_KINDS.map((kind) => [kind, 0]));
  const count = (kind: StaleDataKind, number = 1): void => {
    counts.set(kind, (counts.get(kind) ?? 0) + number);
  };
  const { nowMs = Date.now(), signal } = options;
  try {
    for await (const { kind, path } of findStaleFiles(repository.path, nowMs)) {
      signal.throwIfAborted();
      count(kind);
      await removeTree(path).catch((error: unknown) => {
        count('failures');
        options.onFailure?.(path, messageOf(error));
      });
    }
    for (const [kind, clean] of CLEANERS)
      count(kind, await clean(repository, { ...options, nowMs }).catch(prefixed(kind)));
  } finally {
    options.onRemoved?.(counts);
  }
}

type Cleaner = (
  repository: Repository,
  options: CleanStaleDataOptions & { readonly nowMs: number },
) => Promise<number>;

const CLEANERS: readonly (readonly [StaleDataKind, Cleaner])[] = [
  ['refsemptydir', ({ path }, { nowMs }) => removeEmptyReferenceDirectories(path, nowMs)],
  ['infoattributes', removeInfoAttributes],
  [
    'configkeys',
    async (repository, options) =>
      Number(
        await removeSettings(repository, OBSOLETE_SETTINGS, options).catch(
          wrapped('unsetting unnecessary config lines'),
        ),
      ),
  ],
  [
    'configfullpath',
    async (repository, options) =>
      Number(
        await removeSettings(repository, FULL_PATH, options).catch(
          wrapped('unsetting `gitlab.fullpath` config'),
        ),
      ),
  ],
  ['configsections', removeEmptySections],
];

/** Since 2.43 git reads the attributes of HEAD, over which this file takes precedence. */
async function removeInfoAttributes({ path, git }: Repository): Promise<number> {
  if (!git.capabilities.attrTree) return 0;
  return await unlink(`${path}/info/attributes`).then(
    () => 1,
    (error: unknown) => {
      if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return 0;
      throw error;
    },
  );
}

function prefixed(kind: StaleDataKind): (error: unknown) => never {
  const how = kind === 'configkeys' || kind === 'configfullpath' ? ' (with TxManager)' : '';
  return (error) => {
    throw wrap(error, `housekeeping could not perform cleanup${how} ${kind}`);
  };
}

/**
 * Removes empty directories of references that were deleted, but not `refs` itself.
 *
 * @returns their number.
 */
async function removeEmptyReferenceDirectories(repositoryPath: string, nowMs: number): Promise<number> {
  let removed = 0;
  for (const directory of await directoriesIn(`${repositoryPath}/refs`))
    removed += (await prune(directory)).removed;
  return removed;

  async function prune(directory: string): Promise<{ readonly removed: number }> {
    // Before its children are removed, which changes it.
    const stats = await stat(directory).catch(ifGone);
    if (stats === undefined) return { removed: 0 };
    let inside = 0;
    for (const child of await directoriesIn(directory)) inside += (await prune(child)).removed;
    if (nowMs - stats.mtimeMs < MIN_AGE_MS) return { removed: inside };
    const isRemoved = await rmdir(directory).then(() => true, ifInUse);
    return { removed: inside + (isRemoved ? 1 : 0) };
  }
}

async function directoriesIn(directory: string): Promise<string[]> {
  const entries = (await readdir(directory, { withFileTypes: true }).catch(ifGone)) ?? [];
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${directory}/${name}`);
}

function ifGone(error: unknown): undefined {
  if (systemErrorCode(error) === 'ENOENT') return undefined;
  throw error;
}

function ifInUse(error: unknown): false {
  if (['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(systemErrorCode(error) ?? '')) return false;
  throw error;
}
