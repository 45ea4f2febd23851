/**
 * Where a repository is, as a request names it. The wire's `Repository` message has this shape.
 *
 * `gitObjectDirectory` and `gitAlternateObjectDirectories` are relative to the repository; they point at a quarantine whose
 * objects the call shall see. `glRepository` and `glProjectPath` mean something to GitLab only.
 */
export interface RepositoryTarget {
  readonly storageName: string;
  readonly relativePath: string;
  readonly gitObjectDirectory?: string;
  readonly gitAlternateObjectDirectories?: readonly string[];
  readonly glRepository?: string;
  readonly glProjectPath?: string;
}

/** A storage of the configuration: a name that requests use and an absolute directory. */
export interface Storage {
  readonly name: string;
  readonly path: string;
}

/** A checked place in a storage. Nothing is said about what is there. */
export interface RepositoryLocation {
  readonly storage: Storage;
  /** Clean: no `.`, `..`, doubled or outer slashes. `.` for the storage directory itself. */
  readonly relativePath: string;
  /** Absolute directory of the repository. */
  readonly path: string;
}
