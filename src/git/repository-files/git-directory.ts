import type { ReferenceBackend } from './repository-format.ts';

/** The locations of a repository's objects. */
export interface ObjectDirectories {
  /** Absolute path of the directory for new objects: `<path>/objects`, or a quarantine. */
  readonly objectDirectory: string;
  /**
   * Absolute paths of further directories to read objects from, in addition to those in
   * `objects/info/alternates`.
   */
  readonly alternateObjectDirectories: readonly string[];
}

/** A repository on disk, as named on a git command line. */
export interface GitDirectory extends ObjectDirectories {
  /** Absolute path of the git directory, without a trailing slash. */
  readonly path: string;
  /** `undefined` if the repository's config file is missing or names an unknown hash. */
  readonly knownObjectFormat: 'sha1' | 'sha256' | undefined;
  /**
   * Storage of the references, for metrics; `undefined` if the config file cannot be read. Read at
   * each start of git.
   *
   * @throws {GitalyError} UNKNOWN when it is a storage that git does not have.
   */
  readonly knownReferenceBackend?: ReferenceBackend | undefined;
  /** True if the commit-graph was found to be damaged: git must not read it. */
  readonly hasDamagedCommitGraph?: boolean;
}

/** Reports whether new objects go to a quarantine instead of the repository itself. */
export function isQuarantined({ path, objectDirectory }: GitDirectory): boolean {
  return objectDirectory !== `${path}/objects`;
}

/** Returns a map key for a repository with its object directories. */
export function directoriesKey({ path, objectDirectory, alternateObjectDirectories }: GitDirectory): string {
  return [path, objectDirectory, ...alternateObjectDirectories].join('\0');
}
