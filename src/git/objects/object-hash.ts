import { createHash } from 'node:crypto';
import type { ObjectFormatName } from '../object-format.ts';
import type { ObjectType } from './object-info.ts';

/** What stands before the contents of every object, where it is hashed and where it is stored by itself. */
export function objectHeader(type: ObjectType, sizeBytes: number): Buffer {
  return Buffer.from(`${type} ${sizeBytes}\0`);
}

/** The id that git gives an object. */
export function objectId(objectFormat: ObjectFormatName, type: ObjectType, data: Uint8Array): string {
  return createHash(objectFormat).update(objectHeader(type, data.length)).update(data).digest('hex');
}
