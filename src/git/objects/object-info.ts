export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

/** What git says about an object before its contents. */
export interface ObjectInfo {
  /** Hex, 40 or 64 characters. */
  readonly oid: string;
  readonly type: ObjectType;
  readonly size: number;
}

/** An object that was read whole. */
export interface RawObject extends ObjectInfo {
  readonly data: Buffer;
}

/** Whether a word names a type of object. */
export function isObjectType(word: string): word is ObjectType {
  return word === 'commit' || word === 'tree' || word === 'blob' || word === 'tag';
}
