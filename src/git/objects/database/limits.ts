/**
 * Limits of in-process reads. They keep every read below a few milliseconds; git reads larger data.
 */
export const READ_LIMITS = {
  /** Bytes of an object. A `cat-file` streams larger ones. */
  objectBytes: 256 * 1024,
  /** Deltas that are applied for one object. git makes at most 50, or 250 for `gc --aggressive`. */
  deltas: 64,
  /** Bytes that are inflated and copied for one object. */
  workBytes: 4 * 1024 * 1024,
  /** Tags that are followed for one name. */
  tags: 16,
  /** Packs that are searched for one object. A repository with more has a multi-pack-index. */
  packs: 64,
  /** Files in the directory of packs. 10,000 take 30 ms; maintenance repacks long before. */
  packFiles: 2048,
} as const;
