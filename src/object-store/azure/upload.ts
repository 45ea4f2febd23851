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
/** Length of the names of blocks, which must be equal. */
const ID_DIGITS = 8;
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
    const id = Buffer.from(String(number).padStart(ID_DIGITS, '0')).toString('base64');
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

function conditionOf({ onlyIf }: PutOptions): { ifNoneMatch?: string; ifMatch?: string } {
  if (onlyIf === undefined) return {};
  return onlyIf === 'absent' ? { ifNoneMatch: '*' } : { ifMatch: `"${onlyIf.version}"` };
}

/** Returns our error for a failed condition; any other error unchanged. */
export function azureConditionError(error: unknown, onlyIf: PutCondition | undefined, key: string): unknown {
  if (onlyIf === undefined) return error;
  if (error instanceof MissingObjectError)
    return new PreconditionError(key, { reason: 'missing', cause: error });
  const isRefused =
    error instanceof StoreError && /^(?:ConditionNotMet|BlobAlreadyExists)$/.test(error.failure.code);
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
