/** The result of a change that has moved a branch to a new commit. */
export interface BranchUpdate {
  readonly newOid: string;
  readonly isNewBranch: boolean;
  /** The repository had no branches before. */
  readonly isFirstBranch: boolean;
}
