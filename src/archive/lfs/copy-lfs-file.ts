import { limitedSignal } from '#base/async/limited-signal';
import { type LfsIds, LfsObjects, type LfsPointer, parseLfsKey } from '#object-store/lfs-objects';
import type { ObjectStore } from '#object-store/object-store';
import { transferMs } from '../bucket/archive-bucket.ts';

export interface CopyLfsFileOptions {
  readonly ids: LfsIds;
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  readonly signal: AbortSignal;
}

/**
 * Copies a file under the id that has it, unless the other store has it under any of the ids. Its
 * bytes are streamed; it appears if their SHA-256 is right.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for damaged bytes; the errors of the stores.
 */
export async function copyLfsFile(
  { oid, size }: LfsPointer,
  { from, ids, signal, to }: CopyLfsFileOptions,
): Promise<'present' | 'copied' | 'missing'> {
  if ((await new LfsObjects(to, ids).find(oid, signal))?.size === size) return 'present';
  const source = new LfsObjects(from, ids);
  const file = await source.find(oid, signal);
  if (file === undefined) return 'missing';
  using limited = limitedSignal(transferMs(file.size), signal);
  const target = new LfsObjects(to, [parseLfsKey(file.key)?.id ?? ids[0]]);
  const bytes = source.content(file, undefined, limited.signal);
  await target.write(oid, bytes, { sizeBytes: file.size, signal: limited.signal });
  return 'copied';
}
