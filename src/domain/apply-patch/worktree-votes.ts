import { createHash } from 'node:crypto';
import type { Vote } from '#storage/lifecycle/voter';

/** A commit that `git am` has made. */
export interface AppliedCommit {
  readonly oid: string;
  readonly treeOid: string;
}

/** A finished `git am`, successful or not. */
export interface AppliedMails {
  readonly parent: AppliedCommit;
  /** Votes in the order of the mails. */
  readonly commits: readonly AppliedCommit[];
  /** Outcome of each mail that git began to apply; empty if it does not matter. */
  readonly mails: readonly MailOutcome[];
  /** Tree of the last merge, if there was one. */
  readonly mergedTreeOid: string | undefined;
}

/** Outcome of a mail, as `git am` reports it. */
export interface MailOutcome {
  /** The patch did not apply, and was merged. */
  readonly isMerged: boolean;
  /** There was nothing to commit. */
  readonly isEmpty: boolean;
}

/** Beginnings of lines that `git am` prints, in English. */
const APPLYING = 'Applying: ';
const MERGING = 'Falling back to patching base and 3-way merge';
const NO_CHANGES = 'No changes -- Patch already applied.';

/** Parses the output of a `git am` that is not quiet. */
export function parseMailOutcomes(output: string): readonly MailOutcome[] {
  const mails: MailOutcome[] = [];
  for (const line of output.split('\n')) {
    const last = mails.at(-1);
    if (line.startsWith(APPLYING)) mails.push({ isMerged: false, isEmpty: false });
    else if (last !== undefined && line.startsWith(MERGING)) mails.splice(-1, 1, { ...last, isMerged: true });
    else if (last !== undefined && line.startsWith(NO_CHANGES))
      mails.splice(-1, 1, { ...last, isEmpty: true });
  }
  return mails;
}

/**
 * The votes that git's hook gives for the references of a working tree, in which `git am` makes
 * commits. They are cast after git has ended: the working tree is private.
 */
export class WorktreeVotes {
  readonly #vote: Vote;
  readonly #zero: string;

  constructor(vote: Vote, zero: string) {
    this.#vote = vote;
    this.#zero = zero;
  }

  /** Votes on a new working tree. @throws the error of the vote. */
  async onAdded(parentOid: string): Promise<void> {
    await this.#change(this.#zero, parentOid, 'HEAD');
    await this.#change(this.#zero, parentOid, 'ORIG_HEAD');
    await this.#change(parentOid, parentOid, 'HEAD');
  }

  /** Votes on the mails of a `git am`. @throws the error of the vote. */
  async onApplied({ parent, commits, mails, mergedTreeOid }: AppliedMails): Promise<void> {
    await this.#change(this.#zero, parent.oid, 'ORIG_HEAD');
    const outcomes = mails.length > 0 ? mails : commits.map(() => ({ isMerged: false, isEmpty: false }));
    const rest = [...commits];
    let head = parent;
    for (const { isEmpty, isMerged } of outcomes) {
      const commit = isEmpty ? undefined : rest.shift();
      // Without a commit, there were conflicts or the tree is that of HEAD.
      const treeOid = commit?.treeOid ?? (isEmpty ? head.treeOid : mergedTreeOid);
      if (isMerged && treeOid !== undefined) await this.#change(this.#zero, treeOid, 'AUTO_MERGE');
      if (commit === undefined) continue;
      await this.#change(head.oid, commit.oid, 'HEAD');
      head = commit;
    }
  }

  async #change(oldOid: string, newOid: string, name: string): Promise<void> {
    const hash = createHash('sha1').update(`${oldOid} ${newOid} ${name}\n`).digest();
    await this.#vote('prepared', hash);
    await this.#vote('committed', hash).catch(() => {}); // reported; git ignores it, too
  }
}
