/** The data of a commit that a walk needs. */
export interface CommitNode {
  readonly oid: string;
  readonly treeOid: string;
  readonly parents: readonly string[];
  /**
   * Committer date in seconds since 1970; `undefined` unless author and committer have the format
   * that git writes: how git parses others depends on its version.
   */
  readonly seconds: number | undefined;
}
