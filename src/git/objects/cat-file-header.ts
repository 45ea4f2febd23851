import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { isObjectType, type ObjectInfo } from './object-info.ts';

const HEADER = /^([0-9a-f]{40,64}) ([a-z]+) (\d+)$/;
const SUBMODULE = /^[^ ]* submodule$/;

/**
 * Reads the line before an object's contents: `<oid> <type> <size>`. `undefined` says that there is no such object (`… missing`), or
 * that it is a submodule's commit, which lies elsewhere (`<oid> submodule`).
 *
 * @throws {GitalyError} without a code of its own, `invalid info line: "…"`, for anything else, such as an ambiguous short id.
 */
export function parseHeader(line: Buffer): ObjectInfo | undefined {
  const text = line.toString('latin1');
  const [, oid, type, size] = HEADER.exec(text) ?? [];
  if (oid !== undefined && type !== undefined && isObjectType(type)) return { oid, type, size: Number(size) };
  if (text.endsWith(' missing') || SUBMODULE.test(text)) return undefined;
  throw new GitalyError('UNKNOWN', `invalid info line: ${quote(line)}`);
}
