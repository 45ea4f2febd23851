import type { Signature } from '#git/objects/parse/parse-ident';

/**
 * A reference and its commit as shown by `for-each-ref`, which differs from the result of {@link
 * parseCommit}.
 */
export interface BranchTip {
  /** Full name. */
  readonly name: Buffer;
  /** The reference's value; tags are not peeled, and may have a subject and a body. */
  readonly oid: string;
  readonly treeOid: string;
  readonly parentOids: readonly string[];
  /** Empty, and without a usable date, if the object has no such header. */
  readonly author: Signature;
  readonly committer: Signature;
  /** The first paragraph on one line. */
  readonly subject: Buffer;
  /** The message without leading empty lines; it ends at NUL. */
  readonly body: Buffer;
}

/** A reference whose commit the caller knows. */
export interface KnownTip extends Pick<BranchTip, 'name' | 'oid'> {
  readonly treeOid?: undefined;
}
