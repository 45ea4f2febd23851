/** Where a repository lies. All that the git room has to know about one. */
export interface GitRepository {
  /** Absolute path of the git directory, without a trailing slash. */
  readonly path: string;
  /** Absolute path of the directory that new objects go to: `<path>/objects`, or a quarantine. */
  readonly objectDirectory: string;
  /** Absolute paths of further directories to read objects from, beside those in `objects/info/alternates`. */
  readonly alternateObjectDirectories: readonly string[];
}
