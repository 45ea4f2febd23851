import { createHash } from 'node:crypto';
import { LoopSlice } from '#base/async/loop-turns';
import { type Oid, oidAt } from '#git/names/object-id';
import type { ObjectType } from '#git/names/object-info';
import type { ObjectFormatName } from '#git/repository-files/repository-format';

/** Bytes that are hashed between two readings of the clock, in less than two milliseconds. */
const BYTES_PER_LOOK = 1 << 20;

/** Returns the header before the contents of every object, for hashing and for loose objects. */
export function objectHeader(type: ObjectType, sizeBytes: number): Buffer {
  return Buffer.from(`${type} ${sizeBytes}\0`);
}

export function hashObject(objectFormat: ObjectFormatName, type: ObjectType, data: Uint8Array): Oid {
  return oidAt(createHash(objectFormat).update(objectHeader(type, data.length)).update(data).digest());
}

/** Returns the id of an object as {@link hashObject} does, in slices of the event loop. */
export async function hashObjectInTurns(
  objectFormat: ObjectFormatName,
  type: ObjectType,
  data: Uint8Array,
): Promise<Oid> {
  const hash = createHash(objectFormat).update(objectHeader(type, data.length));
  const slice = new LoopSlice();
  for (let start = 0; start < data.length; start += BYTES_PER_LOOK) {
    hash.update(data.subarray(start, start + BYTES_PER_LOOK));
    await slice.pause();
  }
  return oidAt(hash.digest());
}
