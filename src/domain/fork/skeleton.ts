import { mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { posix } from 'node:path';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { initializeRepository } from '#storage/lifecycle/create-repository';
import type { Repository } from '#storage/repository';
import { DIRECTORY_MODE } from '#storage/storage-layout';
import { createTempDirectory } from '#storage/temp-directories';
import { writeShared } from './shared-file.ts';

const REFTABLE = /refstorage/i;

/** The `config` files of new repositories, each made once by git. */
export class NewConfigs {
  readonly #byFormat = new Map<ObjectFormatName, string>();

  /**
   * Returns the `config` of a new repository with the object format of another one; `undefined` if
   * git makes it with another storage of references than files.
   */
  async like(other: Repository, signal: AbortSignal): Promise<string | undefined> {
    const { objectFormat } = other;
    const known = this.#byFormat.get(objectFormat);
    if (known !== undefined) return known;
    const config = await configOf(other, signal);
    if (REFTABLE.test(config)) return undefined; // the next call may have other feature flags
    this.#byFormat.set(objectFormat, config);
    return config;
  }
}

async function configOf(like: Repository, signal: AbortSignal): Promise<string> {
  await using scratch = await createTempDirectory(like.storage, 'skeleton');
  await initializeRepository(like.at(scratch.path), { objectFormat: like.objectFormat, signal });
  return await readFile(`${scratch.path}/config`, 'utf8');
}

export interface SkeletonOptions {
  readonly config: string;
  /** Full name of the branch. */
  readonly head: Buffer;
  /** True if all forks have this branch; not for the choice of a client, of which there are many. */
  readonly sharesHead: boolean;
  /** The repository from which objects are borrowed. */
  readonly pool: Repository;
  /** Final path of the repository, to which the path of the pool is relative. */
  readonly finalPath: string;
  /** Directory for the files that all forks of the pool share. */
  readonly shared: string;
}

/**
 * Makes the files of a repository without references and own objects: four directories, and files
 * that take no space. git makes other directories when it needs them.
 */
export async function writeSkeleton(
  directory: string,
  { config, head, sharesHead, pool, finalPath, shared }: SkeletonOptions,
): Promise<void> {
  mkdirSync(`${directory}/objects/info`, { recursive: true, mode: DIRECTORY_MODE });
  mkdirSync(`${directory}/refs`, { mode: DIRECTORY_MODE });
  // Relative, so that a storage can be moved.
  const alternate = posix.relative(`${finalPath}/objects`, pool.objectDirectory);
  await writeShared(shared, `${directory}/config`, config);
  await writeShared(shared, `${directory}/objects/info/alternates`, `${alternate}\n`);
  const line = Buffer.concat([Buffer.from('ref: '), head, Buffer.from('\n')]);
  if (sharesHead) await writeShared(shared, `${directory}/HEAD`, line);
  else await writeFile(`${directory}/HEAD`, line);
}
