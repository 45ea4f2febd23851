/**
 * A repository as named in a request; the wire's `Repository` message has this shape.
 *
 * `gitObjectDirectory` and `gitAlternateObjectDirectories` are relative to the repository and refer
 * to a quarantine whose objects the call can read. `glRepository` and `glProjectPath` are for
 * GitLab only.
 */
export interface RepositoryTarget {
  readonly storageName: string;
  readonly relativePath: string;
  readonly gitObjectDirectory?: string;
  readonly gitAlternateObjectDirectories?: readonly string[];
  readonly glRepository?: string;
  readonly glProjectPath?: string;
}

/** A configured storage: a name for requests and an absolute directory. */
export interface Storage {
  readonly name: string;
  readonly path: string;
}

/** A checked path in a storage, which may not exist. */
export interface RepositoryLocation {
  readonly storage: Storage;
  /** Clean: without `.`, `..`, doubled or outer slashes. `.` for the storage directory itself. */
  readonly relativePath: string;
  /** Absolute directory of the repository. */
  readonly path: string;
}
