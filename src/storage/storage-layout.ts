import type { Storage } from './repository-target.ts';

/**
 * Directory of the server's own files in a storage. `+` cannot begin the name of a GitLab
 * namespace, so it never collides with a client's paths.
 */
export const OWN_DIRECTORY = '+gitaly';

export const DIRECTORY_MODE = 0o700;

/**
 * Returns the directory for temporary files, on the storage's own file system, so that they can be
 * renamed into place.
 */
export function tempRoot(storage: Storage): string {
  return `${storage.path}/${OWN_DIRECTORY}/tmp`;
}

/** Returns the directory in which Gitaly, and earlier versions, cache responses. */
export function cacheRoot(storage: Storage): string {
  return `${storage.path}/${OWN_DIRECTORY}/cache`;
}

/** Returns the default directory of a cache of streams. */
export function streamCacheRoot(storage: Pick<Storage, 'path'>, name: string): string {
  return `${storage.path}/${OWN_DIRECTORY}/${name}`;
}

/** Returns the directory of repositories' generations, on which cached responses depend. */
export function stateRoot(storage: Storage): string {
  return `${storage.path}/${OWN_DIRECTORY}/state`;
}

/** Returns the directory of the change feed. */
export function eventsRoot(storage: Storage): string {
  return `${storage.path}/${OWN_DIRECTORY}/events`;
}

/** Returns the directory of what archives keep on the disk. */
export function archiveRoot(storage: Pick<Storage, 'path'>): string {
  return `${storage.path}/${OWN_DIRECTORY}/archive`;
}

/** Returns the directory of the results of backups. */
export function backupsRoot(storage: Storage): string {
  return `${storage.path}/${OWN_DIRECTORY}/backups`;
}

/** Returns the directory of removed repositories whose bundles may still be in the bucket. */
export function bundleRemovalsRoot(storage: Storage): string {
  return `${storage.path}/${OWN_DIRECTORY}/bundle-removals`;
}

/** Returns the directory with the times at which repositories and references are to be removed. */
export function lifetimesRoot(storage: Storage): string {
  return `${storage.path}/${OWN_DIRECTORY}/lifetimes`;
}

/** Name of a directory below {@link stateRoot} with marks of changes under way. */
export const PENDING = 'pending';

/** Returns the path of the file with the identity of the storage's file system. */
export function metadataPath(storage: Storage): string {
  return `${storage.path}/.gitaly-metadata`;
}

/** Reports whether an absolute clean path is the server's own directory or lies below it. */
export function isOwnPath(storage: Storage, path: string): boolean {
  const own = `${storage.path}/${OWN_DIRECTORY}`;
  return path === own || path.startsWith(`${own}/`);
}
