import { OID_SOURCE } from '#git/names/object-id';

const TAG = new RegExp(`^object (${OID_SOURCE})\n`);
const TAG_BYTES = 'object \n'.length + 64;

/** Returns the id that a tag names; `undefined` for a tag that git does not write. */
export function tagTarget(oid: string, tag: Buffer): string | undefined {
  const [, target] = TAG.exec(tag.toString('latin1', 0, TAG_BYTES)) ?? [];
  return target?.length === oid.length ? target : undefined;
}
