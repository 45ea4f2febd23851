import type { Signature } from '../objects/parse-ident.ts';

/** A reference and its commit as `for-each-ref` shows it, which differs from what {@link parseCommit} makes of the object. */
export interface BranchTip {
  /** Full name. */
  readonly name: Buffer;
  /** What the reference points to; tags are not peeled, and may have a subject and a body. */
  readonly oid: string;
  readonly treeOid: string;
  readonly parentOids: readonly string[];
  /** All empty, and without a usable date, where the object has no such header. */
  readonly author: Signature;
  readonly committer: Signature;
  /** The first paragraph on one line. */
  readonly subject: Buffer;
  /** The message without the empty lines at its beginning; it ends at a NUL. */
  readonly body: Buffer;
}
