import type { ObjectReader } from '#git/objects/object-reader';
import { MAX_LFS_POINTER_BYTES, parseLfsPointer } from '#git/objects/parse/parse-lfs-pointer';
import type { NamedObject, ObjectNames } from '#git/objects/read-many';
import { chunkMessages } from '#services/convert/response/chunk-messages';
import { LFSPointerSchema } from '#wire/gen/blob_pb';

/** The message of a pointer. */
export interface LfsPointerMessage {
  readonly oid: string;
  readonly data: Buffer;
  readonly size: bigint;
  readonly fileOid: Buffer;
  readonly fileSize: bigint;
}

/** Returns the message of a blob; `undefined` if it is not a pointer. */
export function toLfsPointer(oid: string, data: Buffer): LfsPointerMessage | undefined {
  const pointer = parseLfsPointer(data);
  if (pointer === undefined) return undefined;
  // A view would keep all of git's output in memory, and perhaps only one blob in a thousand is a
  // pointer.
  const own = Buffer.from(data);
  return {
    oid,
    data: own,
    size: BigInt(own.length),
    fileOid: Buffer.from(pointer.fileOid, 'latin1'),
    fileSize: pointer.fileSize,
  };
}

/**
 * Yields the pointers among the blobs that a source names.
 *
 * @param options.limit the number of pointers to yield at most; 0 or less for all.
 */
export async function* lfsPointers(
  objects: ObjectReader,
  source: ObjectNames<NamedObject>,
  { signal, limit }: { readonly signal: AbortSignal; readonly limit: number },
): AsyncGenerator<LfsPointerMessage> {
  let left = limit > 0 ? limit : Number.POSITIVE_INFINITY;
  for await (const batch of objects.readMany(source, { signal })) {
    for (const { object } of batch) {
      const pointer = object && toLfsPointer(object.oid, object.data);
      if (pointer === undefined) continue;
      yield pointer;
      left--;
      if (left === 0) return;
    }
  }
}

/** Collects pointers into messages of at most 1 MiB. */
export function chunkPointers(
  pointers: AsyncIterable<LfsPointerMessage>,
): AsyncGenerator<LfsPointerMessage[]> {
  return chunkMessages(LFSPointerSchema, pointers, () => MAX_ENCODED_BYTES);
}

/** The contents, two ids of 64 digits, two numbers of 10 bytes; five tags and three lengths. */
const MAX_ENCODED_BYTES = MAX_LFS_POINTER_BYTES + 2 * 64 + 2 * 10 + 5 + 3 * 2;
