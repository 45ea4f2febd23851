import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { OID_SOURCE, trustedOid } from '#git/names/object-id';
import { isObjectType, type ObjectInfo } from '#git/names/object-info';

/**
 * Limit of a header: an id, a word and a number, or the requested name and `missing`. A longer one
 * is not git's output.
 */
export const MAX_INFO_LINE_BYTES = 64 * 1024;

const HEADER = new RegExp(String.raw`^(${OID_SOURCE}) ([a-z]+) (\d+)$`);
const SUBMODULE = /^[^ ]* submodule$/;

/**
 * Parses the line before an object's contents: `<oid> <type> <size>`. Returns `undefined` for a
 * missing object (`… missing`), or a submodule's commit, which is in another repository (`<oid>
 * submodule`).
 *
 * @throws {GitalyError} without a code, `invalid info line: "…"`, for anything else, such as an
 *   ambiguous short id.
 */
export function parseHeader(line: Buffer): ObjectInfo | undefined {
  const text = line.toString('latin1');
  const [, oid, type, size] = HEADER.exec(text) ?? [];
  if (oid !== undefined && type !== undefined && isObjectType(type))
    return { oid: trustedOid(oid), type, size: Number(size) };
  if (text.endsWith(' missing') || SUBMODULE.test(text)) return undefined;
  throw new GitalyError('UNKNOWN', `invalid info line: ${quote(line)}`);
}
