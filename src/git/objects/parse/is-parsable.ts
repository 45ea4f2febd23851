import { OID_DIGITS } from '#git/names/object-id';
import type { ObjectType } from '#git/names/object-info';

interface NamedContents {
  readonly oid: string;
  readonly type: ObjectType;
  readonly data: Buffer;
}

/** Bytes that hold the first lines of nearly all objects. */
const FEW_BYTES = 1024;
/** Limit of the first lines: more than a thousand parents. */
const MAX_BYTES = 64 * 1024;
/** Bytes of a tag besides an id, at least. @see git: tag.c, parse_tag_buffer */
const MIN_TAG_BYTES = 24;

/** The first lines of objects, by the format of ids. */
const SHA1 = {
  commit: /^tree [0-9a-f]{40}\n(?:parent [0-9a-f]{40}\n)*author /,
  tag: /^object [0-9a-f]{40}\ntype (?:commit|tree|blob|tag)\ntag [^\n]*\n/,
};
const SHA256 = {
  commit: /^tree [0-9a-f]{64}\n(?:parent [0-9a-f]{64}\n)*author /,
  tag: /^object [0-9a-f]{64}\ntype (?:commit|tree|blob|tag)\ntag [^\n]*\n/,
};

/**
 * Reports whether git certainly accepts an object as its stored type. A commit or tag that does not
 * begin like one is missing when it is requested by type (`<id>^{commit}`), although its contents
 * can be read by id.
 */
export function isParsable({ oid, type, data }: NamedContents): boolean {
  if (type !== 'commit' && type !== 'tag') return true;
  if (type === 'tag' && data.length < oid.length + MIN_TAG_BYTES) return false;
  const lines = (oid.length === OID_DIGITS.sha1 ? SHA1 : SHA256)[type];
  if (lines.test(data.toString('latin1', 0, FEW_BYTES))) return true;
  return data.length > FEW_BYTES && lines.test(data.toString('latin1', 0, MAX_BYTES));
}
