import { createHash } from 'node:crypto';
import type { RepositoryLocation } from '../repository-target.ts';
import { tempRoot } from '../storage-layout.ts';

/** Number of bytes of the path's hash in the name of a quarantine. */
const HASH_BYTES = 8;

/**
 * Returns the prefix of every quarantine of a repository. It shows that a quarantine in a request
 * belongs to the repository.
 */
export function quarantinePrefix(relativePath: string): string {
  return `quarantine-${createHash('sha1')
    .update(relativePath)
    .digest('hex')
    .slice(0, 2 * HASH_BYTES)}-`;
}

/** Reports whether an absolute clean path is a quarantine of the repository, or lies in one. */
export function isOwnQuarantine(location: RepositoryLocation, absolutePath: string): boolean {
  const start = `${tempRoot(location.storage)}/${quarantinePrefix(location.relativePath)}`;
  return absolutePath.startsWith(start) && absolutePath.length > start.length;
}

/**
 * Reports whether an absolute clean path has the name of a transaction's quarantine, or of the one
 * that `git receive-pack` creates in it. The name does not identify the repository.
 */
export function isTransactionQuarantine(absolutePath: string): boolean {
  return /\/quarantine(?:\/tmp_objdir[^/]*)?$/.test(absolutePath);
}
