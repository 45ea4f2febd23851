import { subtle } from 'node:crypto';
import type { BlockBlobClient } from '@azure/storage-blob';
import type { PutCondition, PutOptions } from '../object-store.ts';
import { checkedPieces } from '../pieces.ts';
import { putInParts } from '../put-in-parts.ts';
import { sendParts } from '../send-parts.ts';
import { MissingObjectError, PreconditionError, StoreError } from '../store-error.ts';

/** Limit of Azure. */
const MAX_BLOCKS = 50_000;
/** The first blocks have the configured size. Later ones are larger. */
const BLOCKS_PER_SIZE = 10_000;
/** Bytes of the hash of a block, with which its name begins. */
const HASH_BYTES = 6;
/**
 * The same as Gitaly's: a cache must not keep a backup, and a proxy must not change it. @see
 * internal/backup/sink.go
 */
const HEADERS = {
  blobCacheControl: 'no-store, no-transform',
  blobContentType: 'application/octet-stream',
};

export interface BlobUpload {
  readonly key: string;
  readonly store: string;
  readonly blob: BlockBlobClient;
  readonly partBytes: number;
  /** Runs a call of the SDK, and translates its errors. */
  readonly send: <T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal) => Promise<T>;
}

/**
 * Stores an object: at once if it fits into a block, else in blocks of which some are sent at once.
 * The blocks of an upload that failed are not part of any object; Azure removes them after a week.
 */
export async function uploadBlob(
  pieces: AsyncIterable<Uint8Array>,
  options: PutOptions,
  deps: BlobUpload,
): Promise<string> {
  return await putInParts(checkedPieces(pieces, options), {
    partBytes: deps.partBytes,
    maxParts: MAX_BLOCKS,
    partsPerSize: BLOCKS_PER_SIZE,
    tooLarge: () => tooLarge(deps),
    putWhole: (content) => putWhole(content, options, deps),
    putParts: (parts, sent) => putBlocks(parts, options, { ...deps, sent }),
    toError: (error) => azureConditionError(error, options.onlyIf, deps.key),
  });
}

async function putWhole(content: Buffer, options: PutOptions, { blob, send }: BlobUpload): Promise<string> {
  const conditions = conditionOf(options);
  const { etag } = await send(
    (abortSignal) =>
      blob.upload(content, content.length, { abortSignal, conditions, blobHTTPHeaders: HEADERS }),
    options.signal,
  );
  return unquoted(etag);
}

async function putBlocks(
  parts: AsyncIterable<Buffer>,
  options: PutOptions,
  { blob, send, sent }: BlobUpload & { readonly sent: Buffer[] },
): Promise<string> {
  const { signal } = options;
  const sendBlock = async (body: Buffer, number: number, ending: AbortSignal): Promise<string> => {
    const id = await blockId(body, number);
    await send((abortSignal) => blob.stageBlock(id, body, body.length, { abortSignal }), ending);
    sent.push(body);
    return id;
  };
  const ids = await sendParts(parts, sendBlock, { signal });
  const conditions = conditionOf(options);
  const { etag } = await send(
    (abortSignal) => blob.commitBlockList(ids, { abortSignal, conditions, blobHTTPHeaders: HEADERS }),
    signal,
  );
  return unquoted(etag);
}

/**
 * Returns the name of a block, by its content. All uploads of a blob share its blocks: with names
 * by number, one would commit the bytes of another. With random names, one that ends second would
 * lose its blocks, although both are of the same content. The length is that of earlier releases,
 * because all names of a blob have to have the same.
 */
async function blockId(body: Buffer, number: number): Promise<string> {
  const id = Buffer.alloc(HASH_BYTES + 2);
  // No part is in shared memory. The hash is computed in a thread.
  const hash = await subtle.digest('SHA-256', body as Buffer<ArrayBuffer>);
  id.set(new Uint8Array(hash, 0, HASH_BYTES));
  id.writeUInt16BE(number, HASH_BYTES);
  return id.toString('base64');
}

function conditionOf({ onlyIf }: PutOptions): { ifNoneMatch?: string; ifMatch?: string } {
  if (onlyIf === undefined) return {};
  return onlyIf === 'absent' ? { ifNoneMatch: '*' } : { ifMatch: `"${onlyIf.version}"` };
}

/**
 * Returns our error for a failed condition; any other error unchanged. Another upload that ends
 * removes the blocks of this one, and has changed the object.
 */
export function azureConditionError(error: unknown, onlyIf: PutCondition | undefined, key: string): unknown {
  if (onlyIf === undefined) return error;
  if (error instanceof MissingObjectError)
    return new PreconditionError(key, { reason: 'missing', cause: error });
  const isRefused =
    error instanceof StoreError &&
    /^(?:ConditionNotMet|BlobAlreadyExists|InvalidBlockList)$/.test(error.failure.code);
  return isRefused ? new PreconditionError(key, { cause: error }) : error;
}

/** Removes the quotes of an ETag, which only some responses have. */
export function unquoted(etag = ''): string {
  return etag.replaceAll('"', '');
}

function tooLarge({ store, key, partBytes }: BlobUpload): StoreError {
  return new StoreError({
    store,
    operation: 'put',
    key,
    code: 'BlockCountExceedsLimit',
    message: `more than ${MAX_BLOCKS} blocks, the first of ${partBytes} bytes`,
    hint: 'raise [backup] buffer_size',
  });
}
