import type { ObjectType } from './object-info.ts';

const COMMIT = Buffer.from('tree ');
const TAG = Buffer.from('object ');

/**
 * Whether git takes an object for what it is stored as. A commit or tag that does not begin like one is not there when it is asked for by its type
 * (`<id>^{commit}`), though its contents can be read by its id.
 */
export function isParsable(type: ObjectType, data: Buffer): boolean {
  if (type === 'commit') return data.subarray(0, COMMIT.length).equals(COMMIT);
  return type !== 'tag' || data.subarray(0, TAG.length).equals(TAG);
}
