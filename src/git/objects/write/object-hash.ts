import { createHash } from 'node:crypto';
import type { ObjectFormatName } from '#git/repository-format';
import { type Oid, oidAt } from '../object-id.ts';
import type { ObjectType } from '../object-info.ts';

/** Returns the header before the contents of every object, for hashing and for loose objects. */
export function objectHeader(type: ObjectType, sizeBytes: number): Buffer {
  return Buffer.from(`${type} ${sizeBytes}\0`);
}

/** Returns the id of an object. */
export function objectId(objectFormat: ObjectFormatName, type: ObjectType, data: Uint8Array): Oid {
  return oidAt(createHash(objectFormat).update(objectHeader(type, data.length)).update(data).digest());
}
