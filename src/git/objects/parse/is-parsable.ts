import type { ObjectType } from '../object-info.ts';

const COMMIT = Buffer.from('tree ');
const TAG = Buffer.from('object ');

/**
 * Reports whether git accepts an object as its stored type. A commit or tag that does not begin
 * like one is missing when it is requested by type (`<id>^{commit}`), although its contents can be
 * read by id.
 */
export function isParsable(type: ObjectType, data: Buffer): boolean {
  if (type === 'commit') return data.subarray(0, COMMIT.length).equals(COMMIT);
  return type !== 'tag' || data.subarray(0, TAG.length).equals(TAG);
}
