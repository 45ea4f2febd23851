import { rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { ignoreMissing, isMissingFile } from '#base/files/ignore-missing';
import { syncPath } from '#base/files/sync-path';
import { type GitalyError, invalidArgument } from '#base/gitaly-error';
import { joinInside } from '../relative-path.ts';
import type { Storage } from '../repository-target.ts';
import { isOwnPath } from '../storage-layout.ts';
import { escapesBySymlink } from '../symlink-guard.ts';
import { createTempDirectory, removeTree } from '../temp-directories.ts';
import { walkRepositories } from '../walk-repositories.ts';
import { makeDirectories } from './make-directories.ts';
import { type PreparedAlternates, prepareAlternates } from './moved-alternates.ts';

/**
 * A directory of repositories in a storage, as GitLab 15 used for the projects of a group.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a path outside the storage, the storage itself, and
 *   the server's own directory.
 */
export class Namespace {
  readonly storage: Storage;
  readonly path: string;

  constructor(storage: Storage, name: string) {
    const joined = joinInside(storage.path, name);
    if (joined === undefined || joined === storage.path || name.includes('\0') || isOwnPath(storage, joined))
      throw escapes();
    if (escapesBySymlink(storage.path, joined)) throw escapes();
    this.storage = storage;
    this.path = joined;
  }

  /** Reports whether the path is a directory. */
  async exists(): Promise<boolean> {
    return (await stat(this.path).catch(ignoreMissing))?.isDirectory() === true;
  }

  /** Creates the directory and its parents. An existing one is not an error. */
  async create(): Promise<void> {
    await makeDirectories(this.storage, this.path);
  }

  /**
   * Removes the directory with everything in it: it disappears at once, then its files are deleted.
   * A missing one is not an error.
   */
  async remove(): Promise<void> {
    const scratch = await createTempDirectory(this.storage, `${path.posix.basename(this.path)}+removed-`);
    try {
      await rename(this.path, `${scratch.path}/namespace`);
      await syncPath(path.posix.dirname(this.path));
    } catch (error) {
      if (!isMissingFile(error)) throw error;
    } finally {
      await removeTree(scratch.path);
    }
  }

  /**
   * Renames the directory and creates the parents of the new one.
   *
   * @throws {GitalyError} INVALID_ARGUMENT for a target below the directory.
   * @throws system errors: ENOENT when the directory is missing.
   */
  async moveTo(target: Namespace): Promise<void> {
    if (`${target.path}/`.startsWith(`${this.path}/`))
      throw invalidArgument('a directory cannot be moved into itself');
    await stat(this.path);
    await makeDirectories(this.storage, path.posix.dirname(target.path));
    const prepared = await this.#prepareAlternates(target);
    try {
      await rename(this.path, target.path);
    } catch (error) {
      for (const each of prepared) await each.failed();
      throw error;
    }
    for (const { path: moved } of [this, target]) await syncPath(path.posix.dirname(moved));
    for (const each of prepared) await each.done();
  }

  /** Prepares the repositories whose pools are outside the directory. */
  async #prepareAlternates(target: Namespace): Promise<PreparedAlternates[]> {
    const prepared: PreparedAlternates[] = [];
    const { path: directory, storage } = this;
    for await (const { path: from } of walkRepositories(storage, { directory })) {
      const to = `${target.path}${from.slice(directory.length)}`;
      const alternates = await prepareAlternates({ from, to }, directory);
      if (alternates !== undefined) prepared.push(alternates);
    }
    return prepared;
  }
}

function escapes(): GitalyError {
  return invalidArgument('relative path escapes root directory');
}
