import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';
import { REFTABLE_REST } from '#storage/leftovers/repository-leftovers';

const MINUTE_MS = 60 * 1000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Kinds of stale files; labels of a metric and names of log fields, as Gitaly's. */
export type StaleFileKind =
  | 'objects'
  | 'objectdirs'
  | 'locks'
  | 'refs'
  | 'reflocks'
  | 'reftablelocks'
  | 'packfilelocks'
  | 'packedrefslock'
  | 'packedrefsnew'
  | 'serverinfo';

/**
 * Time since the last change, in milliseconds, after which a file counts as left behind. It is
 * longer than git works on a file.
 */
const MIN_AGE_MS: Readonly<Record<StaleFileKind, number>> = {
  // One object or pack that is being received.
  objects: DAY_MS,
  // A whole push, with its hooks.
  objectdirs: 3 * DAY_MS,
  // Small files, written at once; the commit-graph and the multi-pack-index take minutes.
  locks: 15 * MINUTE_MS,
  // A file system that lost the content in a crash; a value may still be written to a new file.
  refs: DAY_MS,
  // Held while hooks run.
  reflocks: HOUR_MS,
  reftablelocks: HOUR_MS,
  // Held from the end of a push's transfer to the end of its hooks.
  packfilelocks: 7 * DAY_MS,
  packedrefslock: HOUR_MS,
  packedrefsnew: 15 * MINUTE_MS,
  // Only read by clients of plain HTTP servers.
  serverinfo: 0,
};

/** Locks and other files with one place. */
const PLACES: readonly (readonly [StaleFileKind, string])[] = [
  ['locks', 'HEAD.lock'],
  ['locks', 'config.lock'],
  ['locks', 'info/attributes.lock'],
  ['locks', 'objects/info/alternates.lock'],
  ['locks', 'objects/info/commit-graphs/commit-graph-chain.lock'],
  ['locks', 'objects/pack/multi-pack-index.lock'],
  ['packedrefslock', 'packed-refs.lock'],
  ['packedrefsnew', 'packed-refs.new'],
];
const SERVER_INFO: readonly (readonly [directory: string, name: RegExp])[] = [
  ['info', /^refs(?:_.*)?$/],
  ['objects/info', /^packs(?:_.*)?$/],
];
/** Quarantines, and what merges by git have left. */
const OBJECT_DIRECTORIES = /^(?:tmp_objdir|merge-[A-Za-z0-9]{6}$)/;
/** git writes its pid into these files; operators make the others, to keep a pack. */
const KEPT_BY_GIT = /^(?:receive-pack|fetch-pack) /;

export interface StaleFile {
  readonly kind: StaleFileKind;
  /** Absolute; a directory for `objectdirs`. */
  readonly path: string;
}

/**
 * Finds files and directories that killed processes left in a repository, by name and age.
 * Unreadable and disappearing ones are passed over.
 *
 * @param nowMs milliseconds since 1970.
 */
export async function* findStaleFiles(repositoryPath: string, nowMs: number): AsyncGenerator<StaleFile> {
  const isOld = (kind: StaleFileKind, { mtimeMs }: Stats): boolean => nowMs - mtimeMs >= MIN_AGE_MS[kind];
  const ifOld = async function* (kind: StaleFileKind, path: string): AsyncGenerator<StaleFile> {
    const stats = await statOf(path);
    if (stats !== undefined && isOld(kind, stats)) yield { kind, path };
  };
  for (const [kind, place] of PLACES) yield* ifOld(kind, `${repositoryPath}/${place}`);
  for (const [directory, name] of SERVER_INFO) {
    for (const entry of await entriesOf(`${repositoryPath}/${directory}`))
      if (entry.isFile() && name.test(entry.name))
        yield { kind: 'serverinfo', path: `${repositoryPath}/${directory}/${entry.name}` };
  }
  // A locked table makes git refuse to compact the others.
  for (const { name } of await entriesOf(`${repositoryPath}/reftable`))
    if (REFTABLE_REST.test(name)) yield* ifOld('reftablelocks', `${repositoryPath}/reftable/${name}`);
  for await (const { path, entry } of filesBelow(`${repositoryPath}/objects`)) {
    const { name } = entry;
    if (entry.isDirectory()) {
      const isTop = posix.dirname(path) === `${repositoryPath}/objects`;
      if (isTop && OBJECT_DIRECTORIES.test(name)) yield* ifOld('objectdirs', path);
    } else if (name.startsWith('tmp_')) {
      yield* ifOld('objects', path);
    } else if (name.startsWith('pack-') && name.endsWith('.keep') && (await isKeptByGit(path))) {
      yield* ifOld('packfilelocks', path);
    }
  }
  for await (const { path, entry } of filesBelow(`${repositoryPath}/refs`)) {
    if (entry.isDirectory()) continue;
    const stats = await statOf(path);
    if (stats === undefined) continue;
    const kind = entry.name.endsWith('.lock') ? 'reflocks' : stats.size === 0 ? 'refs' : undefined;
    if (kind !== undefined && isOld(kind, stats)) yield { kind, path };
  }
}

/** Yields everything below a directory. */
async function* filesBelow(root: string): AsyncGenerator<{ path: string; entry: Dirent }> {
  const pending = [root];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const entry of await entriesOf(directory)) {
      const path = `${directory}/${entry.name}`;
      if (entry.isDirectory()) pending.push(path);
      yield { path, entry };
    }
  }
}

async function isKeptByGit(file: string): Promise<boolean> {
  return KEPT_BY_GIT.test((await readFile(file, 'latin1').catch(passOver)) ?? '');
}

async function statOf(path: string): Promise<Stats | undefined> {
  return await lstat(path).catch(passOver);
}

async function entriesOf(directory: string): Promise<readonly Dirent[]> {
  return (await readdir(directory, { withFileTypes: true }).catch(passOver)) ?? [];
}

function passOver(error: unknown): undefined {
  const code = systemErrorCode(error);
  if (code !== undefined && ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'].includes(code)) return undefined;
  throw error;
}
