import path from 'node:path';
import { alternateDirectory, readAlternates } from '../alternates.ts';
import { isGitDirectory } from '../git-directory.ts';
import type { Storage } from '../repository-target.ts';
import type { FoundRepository } from '../walk-repositories.ts';

/** A repository that borrows objects, and the repository from which it does. */
export interface PoolMember {
  readonly relativePath: string;
  /** Relative to the storage; begins with `../` for one outside it. */
  readonly poolPath: string;
  /** False if there is no repository at the path. */
  readonly isPoolValid: boolean;
}

/** Reads the pool of a repository. @returns `undefined` for one without alternates. */
export async function poolMember(
  storage: Storage,
  repository: FoundRepository,
): Promise<PoolMember | undefined> {
  const [first] = (await readAlternates(repository.path))?.objectDirectories ?? [];
  if (first === undefined) return undefined;
  const pool = path.posix.dirname(alternateDirectory(repository.path, first));
  return {
    relativePath: repository.relativePath,
    poolPath: path.posix.relative(storage.path, pool),
    isPoolValid: isGitDirectory(pool),
  };
}
