import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { NamedBlob } from '#git/objects/named-blobs';
import type { ObjectReader } from '#git/objects/object-reader';
import type { NamedObject, ObjectNames } from '#git/objects/read-many';
import { bytesWithin } from './byte-limit.ts';

/** A blob of a list, or a further piece of it. */
export interface BlobItem {
  /** Empty in further pieces. */
  readonly oid: string;
  /** Size of the whole blob; 0 in further pieces. */
  readonly size: number;
  readonly data: Uint8Array;
  readonly path: Uint8Array;
}

/** A blob from a source; only walks know paths. */
export interface BlobName extends NamedObject {
  readonly path?: Uint8Array;
}

export interface BlobItemsOptions {
  readonly signal: AbortSignal;
  /** Most blobs; 0 means all. */
  readonly limit: number;
  /** Most bytes of each: 0 none, negative all. */
  readonly bytesLimit: bigint;
}

const NOTHING = new Uint8Array(0);
const MAX_PIECE_BYTES = 128 * 1024;

/**
 * Reads the blobs that a source names, each as one item or, when it is large, as several of at most
 * 128 KiB; only the first has the id and the size. Nothing is held.
 *
 * @throws {GitalyError} without a code when a blob is not there; what the source throws.
 */
export async function* blobItems(
  objects: ObjectReader,
  source: ObjectNames<BlobName>,
  options: BlobItemsOptions,
): AsyncGenerator<BlobItem> {
  const { signal, limit, bytesLimit } = options;
  const named = limit === 0 ? source : atMost(limit, source);
  if (bytesLimit === 0n) {
    for await (const batch of objects.infoMany(named, { signal })) {
      for (const { item, info } of batch) {
        if (info === undefined) throw notFound(item);
        yield { oid: info.oid, size: info.size, data: NOTHING, path: item.path ?? NOTHING };
      }
    }
    return;
  }
  let left = 0;
  for await (const batch of objects.readPieces(named, { signal })) {
    for (const { item, info, isFirst, data } of batch) {
      if (info === undefined) throw notFound(item);
      const path = item.path ?? NOTHING;
      if (isFirst) left = bytesWithin(bytesLimit, info.size);
      else if (left === 0) continue;
      // A truncated part is copied: a view would keep all of git's output in memory.
      const wanted = data.length <= left ? data : Buffer.from(data.subarray(0, left));
      left -= wanted.length;
      const head = isFirst ? { oid: info.oid, size: info.size } : CONTINUED;
      yield* inPieces({ ...head, data: wanted, path });
    }
  }
}

/** Yields blobs that were read before, like {@link blobItems}. */
export function* namedItems(blobs: readonly NamedBlob[], bytesLimit: bigint): Generator<BlobItem> {
  for (const { oid, size, data } of blobs) {
    const sent = data?.subarray(0, bytesWithin(bytesLimit, size)) ?? NOTHING;
    yield* inPieces({ oid, size, data: sent, path: NOTHING });
  }
}

/** Yields an item in pieces of at most 128 KiB. */
function* inPieces(item: BlobItem): Generator<BlobItem> {
  const { data, path } = item;
  yield { ...item, data: data.subarray(0, MAX_PIECE_BYTES) };
  for (let at = MAX_PIECE_BYTES; at < data.length; at += MAX_PIECE_BYTES)
    yield { ...CONTINUED, data: data.subarray(at, at + MAX_PIECE_BYTES), path };
}

const CONTINUED = { oid: '', size: 0 } as const;

function notFound({ oid }: BlobName): GitalyError {
  return new GitalyError('UNKNOWN', `retrieving object info for ${quote(oid)}: object not found`);
}

/** Yields the first objects of a source, up to the limit, and then closes the source. */
function atMost<T extends NamedObject>(limit: number, source: ObjectNames<T>): ObjectNames<T> {
  return async function* (signal) {
    let left = limit;
    for await (const batch of source(signal)) {
      yield batch.slice(0, left);
      left -= batch.length;
      if (left <= 0) return;
    }
  };
}
