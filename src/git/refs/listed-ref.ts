/** A reference of a list, symbolic ones followed. */
export interface ListedRef {
  /** Full name. */
  readonly name: Buffer;
  /** What it points to; a tag object is not peeled. */
  readonly oid: string;
  /** What the tag object finally points to, where that is known without looking at the object. */
  readonly peeledOid: string | undefined;
  /** Whether `peeledOid` says it all: without it there is no tag object, or one that leads nowhere. */
  readonly isPeelKnown: boolean;
}
