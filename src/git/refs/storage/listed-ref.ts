/** A listed reference with its symbolic references resolved. */
export interface ListedRef {
  /** Full name. */
  readonly name: Buffer;
  /** The reference's value; a tag object is not peeled. */
  readonly oid: string;
  /** The final target of a tag object, if it is known without reading the object. */
  readonly peeledOid: string | undefined;
  /** True if `peeledOid` is final: without it the object is not a tag, or the tag is dangling. */
  readonly isPeelKnown: boolean;
}
