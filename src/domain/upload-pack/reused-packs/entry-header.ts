import type { ObjectType } from '#git/objects/object-info';

const CODES: Readonly<Record<ObjectType, number>> = { commit: 1, tree: 2, blob: 3, tag: 4 };

/** Returns the header of a whole object in a pack. @param size of its contents. */
export function objectHeader(type: ObjectType, size: number): Buffer {
  const bytes: number[] = [(CODES[type] << 4) | (size % 16)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
    bytes.push(rest % 128);
  }
  return Buffer.from(bytes);
}

/** Returns a distance in a pack from a delta to its base, as git encodes it. */
export function encodedDistance(distance: number): Buffer {
  const bytes: number[] = [distance % 128];
  for (let rest = Math.floor(distance / 128); rest > 0; rest = Math.floor(rest / 128))
    bytes.unshift(0x80 | (--rest % 128));
  return Buffer.from(bytes);
}
