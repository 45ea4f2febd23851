import { createHash } from 'node:crypto';
import type { RepositoryLocation } from './repository-target.ts';
import { tempRoot } from './storage-layout.ts';

/** Bytes of the hash of a repository's path that go into the name of its quarantines. */
const HASH_BYTES = 8;

/**
 * What the name of every quarantine of a repository begins with, so that a quarantine which a client names can be told to
 * belong to the repository that it is used with.
 */
export function quarantinePrefix(relativePath: string): string {
  return `quarantine-${createHash('sha1')
    .update(relativePath)
    .digest('hex')
    .slice(0, 2 * HASH_BYTES)}-`;
}

/** Whether an absolute clean path is a quarantine of the repository, or lies in one. */
export function isOwnQuarantine(location: RepositoryLocation, absolutePath: string): boolean {
  const start = `${tempRoot(location.storage)}/${quarantinePrefix(location.relativePath)}`;
  return absolutePath.startsWith(start) && absolutePath.length > start.length;
}

/**
 * Whether an absolute clean path has the name of a transaction's quarantine, or of the one that `git receive-pack` makes in it. Nothing in it says
 * whose it is.
 */
export function isTransactionQuarantine(absolutePath: string): boolean {
  return /\/quarantine(?:\/tmp_objdir[^/]*)?$/.test(absolutePath);
}
