import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import type { ObjectType } from '#git/names/object-info';
import { deflated } from './deflate.ts';

/**
 * Writes an object into a temporary directory that git reads as an alternate. Nothing is flushed to
 * disk: the directory is removed when the call ends.
 *
 * @returns its id.
 */
export async function writeScratchObject(
  objectDirectory: string,
  object: { readonly type: ObjectType; readonly data: Uint8Array },
  objectFormat: 'sha1' | 'sha256',
): Promise<string> {
  const whole = Buffer.concat([Buffer.from(`${object.type} ${object.data.length}\0`), object.data]);
  const oid = createHash(objectFormat).update(whole).digest('hex');
  const directory = `${objectDirectory}/${oid.slice(0, 2)}`;
  await mkdir(directory, { recursive: true });
  await writeFile(`${directory}/${oid.slice(2)}`, await deflated(whole));
  return oid;
}
