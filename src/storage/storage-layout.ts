import type { Storage } from './repository-target.ts';

/**
 * What the server keeps for itself in a storage. `+` cannot begin the name of a GitLab namespace, so nothing a client
 * creates clashes with it.
 */
const OWN_DIRECTORY = '+gitaly';

/** Mode of directories that the server makes. */
export const DIRECTORY_MODE = 0o700;

/** Scratch space on the storage's own file system, so that what is made there can be renamed into place. */
export function tempRoot(storage: Storage): string {
  return `${storage.path}/${OWN_DIRECTORY}/tmp`;
}

/** Cached responses. */
export function cacheRoot(storage: Storage): string {
  return `${storage.path}/${OWN_DIRECTORY}/cache`;
}

/** Generations of repositories, on which cached responses depend. */
export function stateRoot(storage: Storage): string {
  return `${storage.path}/${OWN_DIRECTORY}/state`;
}

/** File with the identity of the storage's file system. */
export function metadataPath(storage: Storage): string {
  return `${storage.path}/.gitaly-metadata`;
}
