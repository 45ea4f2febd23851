import { hash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { HOOKS_NAME } from '#domain/custom-hooks/set-hooks';
import type { ChainState } from '#generations/chain/chain-state';
import { alternateDirectory, readAlternates } from '#storage/alternates';
import { archiveTree } from '#storage/archive/archive-tree';
import type { Repository } from '#storage/repository';

/**
 * The files of a repository that are archived besides references and objects. Each is a setting of
 * its generations, by its name, after a `=` that tells an empty file from a missing one.
 */
export const FILES = [
  'config',
  'description',
  'info/attributes',
  'shallow',
  'objects/info/alternates',
] as const;

/** Settings of generations that are no files. */
export const SETTING = {
  /** Name of the object with the archive of the custom hooks. */
  hooks: 'hooks',
  objectFormat: 'object-format',
  /** Storage of the references: `files` or `reftable`. */
  backend: 'reference-backend',
  /** Path of the repository in its storage. */
  path: 'path',
  /** Ids of repositories in the archive whose objects this one may use, and a space between them. */
  borrows: 'borrows',
  /**
   * Ids under which the archive has the repository's files of Git LFS, also former ones, and a
   * space between them.
   */
  lfsIds: 'lfs-ids',
  /** Journal and number of the last event that is included. */
  event: 'event',
} as const;

/** Larger files are no configuration, and would not fit into a generation. */
const MAX_FILE_BYTES = 128 * 1024;
const MAX_HOOKS_BYTES = 64 * 1024 * 1024;

/** The settings of a repository, as its generations have them. */
export interface Settings {
  /** An empty text removes a setting. */
  readonly values: Readonly<Record<string, string>>;
  /** Archive of the custom hooks; `undefined` without any. */
  readonly hooks: { readonly content: Buffer; readonly checksum: string } | undefined;
}

/** Reads the settings of a repository. @throws {GitalyError} FAILED_PRECONDITION for one that is too large or cannot be read. */
export async function captureSettings(repository: Repository, signal: AbortSignal): Promise<Settings> {
  const { path, relativePath } = repository;
  const values: Record<string, string> = {
    [SETTING.objectFormat]: repository.objectFormat,
    [SETTING.backend]: repository.referenceBackend === 'reftable' ? 'reftable' : 'files',
    [SETTING.path]: relativePath,
  };
  for (const file of FILES) {
    const content = await readFile(`${path}/${file}`).catch(ignoreMissing).catch(unreadable);
    if (content !== undefined && content.length > MAX_FILE_BYTES)
      throw new GitalyError('FAILED_PRECONDITION', `the file ${file} has more than ${MAX_FILE_BYTES} bytes`);
    values[file] = content === undefined ? '' : `=${content.toString('latin1')}`;
  }
  return { values, hooks: await readHooks(path, signal).catch(unreadable) };
}

/** Throws an error of the repository: the system's own might be one of the bucket. */
function unreadable(error: unknown): never {
  if (systemErrorCode(error) === undefined) throw error;
  throw new GitalyError('FAILED_PRECONDITION', `settings cannot be read: ${messageOf(error)}`, {
    cause: error,
  });
}

/** Returns the settings that differ from those of an archive. */
export function changedSettings(
  archived: ReadonlyMap<string, string>,
  { values }: Settings,
): Record<string, string> {
  const changed = Object.entries(values).filter(([name, value]) => (archived.get(name) ?? '') !== value);
  return Object.fromEntries(changed);
}

/** Returns the ids of the repositories in the archive whose objects a state may use. */
export function borrowedIds({ settings }: Pick<ChainState, 'settings'>): string[] {
  return (settings.get(SETTING.borrows) ?? '').split(' ').filter((id) => id !== '');
}

/** Returns a text that differs once a file with settings has been replaced. */
export async function stampOfSettings({ path }: Pick<Repository, 'path'>): Promise<string> {
  const stamps: string[] = [];
  for (const file of [...FILES, HOOKS_NAME]) {
    const stats = await stat(`${path}/${file}`, { bigint: true }).catch(ignoreMissing);
    stamps.push(stats === undefined ? '' : `${stats.ino}.${stats.mtimeNs}.${stats.ctimeNs}.${stats.size}`);
  }
  return stamps.join(' ');
}

/** Returns the paths in the storage of the repositories whose objects a repository uses. */
export async function lendersOf({ path, storagePath }: Repository): Promise<string[]> {
  const lines = (await readAlternates(path))?.objectDirectories ?? [];
  return lines
    .map((line) => posix.relative(storagePath, posix.dirname(alternateDirectory(path, line))))
    .filter((relative) => relative !== '' && !relative.startsWith('..'));
}

async function readHooks(path: string, signal: AbortSignal): Promise<Settings['hooks']> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of archiveTree(`${path}/${HOOKS_NAME}`, { name: HOOKS_NAME, signal })) {
    bytes += piece.length;
    if (bytes > MAX_HOOKS_BYTES)
      throw new GitalyError('FAILED_PRECONDITION', `the hooks have more than ${MAX_HOOKS_BYTES} bytes`);
    pieces.push(piece);
  }
  if (bytes === 0) return undefined;
  const content = Buffer.concat(pieces);
  return { content, checksum: hash('sha256', content) };
}
