import type { Oid } from './object-id.ts';
export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

/** git's information about an object without its contents. */
export interface ObjectInfo {
  /** Hex, 40 or 64 characters. */
  readonly oid: Oid;
  readonly type: ObjectType;
  readonly size: number;
}

/** An object with its contents. */
export interface RawObject extends ObjectInfo {
  readonly data: Buffer;
  /** True if the next read returns the same buffer, as long as the object is cached. */
  readonly isCached?: boolean;
}

export function isObjectType(word: string): word is ObjectType {
  return word === 'commit' || word === 'tree' || word === 'blob' || word === 'tag';
}
