import { cp, lstat, mkdir, readFile, rm } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { syncPath } from '#base/files/sync-path';
import { GitalyError, wrap } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { type Vote, voteHash } from '#storage/lifecycle/voter';
import { LockTakenError, lockRepository } from '#storage/locks/repository-lock';
import type { Repository } from '#storage/repository';

/**
 * Directory of custom hooks. Replication, backups and restores of every version of Gitaly copy it
 * as a whole, so settings in it need no format of their own (decision 33).
 */
const HOOKS_NAME = 'custom_hooks';
const DIRECTORY = 'gitaly-ts';
/** As that of an empty `custom_hooks`. */
const DIRECTORY_MODE = 0o700;

export type SettingName = 'description' | 'lfs-ids' | 'rules.json';

export function settingPath(repositoryPath: string, name: SettingName): string {
  return `${repositoryPath}/${HOOKS_NAME}/${DIRECTORY}/${name}`;
}

/** Returns a setting of a repository; `undefined` if it is not set. */
export async function readSetting({ path }: Repository, name: SettingName): Promise<Buffer | undefined> {
  return await readFile(settingPath(path, name)).catch(ignoreMissing);
}

export interface WriteSettingOptions {
  readonly vote: Vote | undefined;
  /** The content that is replaced; empty for none. `undefined`: any. */
  readonly expected?: Uint8Array | undefined;
}

/**
 * Replaces a setting durably, after a vote of the nodes on its content. A failure keeps the old
 * one.
 *
 * @param content empty removes it.
 * @throws {GitalyError} ABORTED when the hooks or settings are being changed, the setting is not
 *   the expected one, or the vote is lost.
 */
export async function writeSetting(
  repository: Repository,
  name: SettingName,
  content: Uint8Array,
  { expected, vote }: WriteSettingOptions,
): Promise<void> {
  const { path, storage } = repository;
  const hooks = `${path}/${HOOKS_NAME}`;
  await vote?.('preparing', voteHash(`preparing ${name}`));
  await using _lock = await lockRepository(storage, hooks).catch((error: unknown) => {
    throw error instanceof LockTakenError ? wrap(error, 'locking settings', 'ABORTED') : error;
  });
  if (expected !== undefined) await requireContent(repository, name, expected);
  await vote?.('prepared', voteHash(content));
  const file = settingPath(path, name);
  if (content.length > 0) {
    for (const directory of [hooks, `${hooks}/${DIRECTORY}`]) await makeDirectory(directory);
    await replaceFile(file, content, { durable: true });
  } else if ((await lstat(file).catch(ignoreMissing)) !== undefined) {
    await rm(file);
    await syncPath(`${hooks}/${DIRECTORY}`);
  }
  await vote?.('committed', voteHash(content));
}

async function requireContent(
  repository: Repository,
  name: SettingName,
  expected: Uint8Array,
): Promise<void> {
  const content = (await readSetting(repository, name)) ?? Buffer.alloc(0);
  if (!content.equals(expected)) throw new GitalyError('ABORTED', 'the setting was changed meanwhile');
}

/** Takes the settings of a repository over into hooks that replace its own, unless they have some. */
export async function keepSettings(repositoryPath: string, newHooks: string): Promise<void> {
  const [own, kept] = [`${repositoryPath}/${HOOKS_NAME}/${DIRECTORY}`, `${newHooks}/${DIRECTORY}`];
  if (!(await lstat(newHooks)).isDirectory() || (await lstat(kept).catch(ignoreMissing)) !== undefined)
    return;
  await cp(own, kept, { recursive: true, preserveTimestamps: true }).catch(ignoreMissing);
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, DIRECTORY_MODE);
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return;
    throw error;
  }
  await syncPath(`${path}/..`);
}
