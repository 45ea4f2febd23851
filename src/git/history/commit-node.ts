/** What a walk has to know of a commit. */
export interface CommitNode {
  readonly oid: string;
  readonly treeOid: string;
  readonly parents: readonly string[];
  /**
   * Date of the committer, in seconds since 1970; `undefined` unless author and committer look as git itself writes them: what git makes
   * of others depends on its version.
   */
  readonly seconds: number | undefined;
}
