import { setTimeout } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import type { PutCondition, PutOptions } from '../object-store.ts';
import { checkedPieces } from '../pieces.ts';
import { putInParts } from '../put-in-parts.ts';
import { sendParts } from '../send-parts.ts';
import { MissingObjectError, PreconditionError, StoreError } from '../store-error.ts';
import type { S3Options } from './s3-options.ts';
import type { S3Sdk } from './s3-sdk.ts';

/** Limit of S3. */
const MAX_PARTS = 10_000;
/**
 * The first parts have the configured size. Later ones are larger, so that 136 GiB fit by default.
 */
const PARTS_PER_SIZE = 2000;
/** Time for the removal of an incomplete upload, after the call has ended. */
const ABORT_TIMEOUT_MS = 30_000;
const MAX_ABORTS = 5;
const ABORT_DELAY_MS = 100;
/**
 * The same as Gitaly's: a cache must not keep a backup, and a proxy must not change it. @see
 * internal/backup/sink.go
 */
export const HEADERS = { CacheControl: 'no-store, no-transform', ContentType: 'application/octet-stream' };

export interface UploadDependencies extends Pick<S3Options, 'encryption'> {
  readonly sdk: S3Sdk;
  /** Stores small objects, if it can. */
  readonly putDirectly: (key: string, content: Buffer, options: PutOptions) => Promise<string | undefined>;
  readonly partBytes: number;
  readonly target: { readonly Bucket: string; readonly Key: string };
  /** Runs a call of the SDK, and translates its errors. */
  readonly send: <T>(work: (client: S3Client) => Promise<T>, signal: AbortSignal) => Promise<T>;
}

interface Multipart {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string | undefined;
}

/**
 * Stores an object: at once if it fits into a part, else in parts of which some are sent at once.
 */
export async function upload(
  pieces: AsyncIterable<Uint8Array>,
  options: PutOptions,
  deps: UploadDependencies,
): Promise<string> {
  return await putInParts(checkedPieces(pieces, options), {
    partBytes: deps.partBytes,
    maxParts: MAX_PARTS,
    partsPerSize: PARTS_PER_SIZE,
    tooLarge: () => tooLarge(deps),
    putWhole: (content) => putWhole(content, options, deps),
    putParts: (parts, sent) => putParts(parts, options, { ...deps, sent }),
    toError: (error) => s3ConditionError(error, options.onlyIf, deps.target.Key),
  });
}

async function putWhole(Body: Buffer, options: PutOptions, deps: UploadDependencies): Promise<string> {
  const { sdk, target, encryption, send } = deps;
  const { signal } = options;
  const version = await deps.putDirectly(target.Key, Body, options);
  if (version !== undefined) return version;
  const input = { ...target, ...encryption, ...HEADERS, ...conditionOf(options), Body };
  const command = new sdk.PutObjectCommand(input);
  return (await send((client) => client.send(command, { abortSignal: signal }), signal)).ETag ?? '';
}

async function putParts(
  parts: AsyncIterable<Buffer>,
  options: PutOptions,
  deps: UploadDependencies & { readonly sent: Buffer[] },
): Promise<string> {
  const { sdk, target, encryption, send, sent } = deps;
  const { signal } = options;
  const create = new sdk.CreateMultipartUploadCommand({ ...target, ...encryption, ...HEADERS });
  const { UploadId } = await send((client) => client.send(create, { abortSignal: signal }), signal);
  const multipart = { ...target, UploadId };
  try {
    const sendPart = async (Body: Buffer, PartNumber: number, ending: AbortSignal) => {
      const part = new sdk.UploadPartCommand({ ...multipart, PartNumber, Body });
      const { ETag } = await send((client) => client.send(part, { abortSignal: ending }), ending);
      sent.push(Body);
      return { PartNumber, ETag };
    };
    const completed = await sendParts(parts, sendPart, { signal });
    const complete = new sdk.CompleteMultipartUploadCommand({
      ...multipart,
      ...conditionOf(options),
      MultipartUpload: { Parts: completed },
    });
    return (await send((client) => client.send(complete, { abortSignal: signal }), signal)).ETag ?? '';
  } catch (error) {
    await abortUpload(multipart, deps);
    throw error;
  }
}

/**
 * Removes an incomplete upload. A part that the service is still receiving can outlive the first
 * request, so it is repeated until the service does not know the upload. If that fails, the error
 * of the upload counts, and the life cycle rule of the bucket removes what is left.
 *
 * @see S3: API reference, AbortMultipartUpload
 */
async function abortUpload(multipart: Multipart, { sdk, send }: UploadDependencies): Promise<void> {
  const signal = AbortSignal.timeout(ABORT_TIMEOUT_MS);
  try {
    for (let attempt = 0; attempt < MAX_ABORTS; attempt++) {
      const command = new sdk.AbortMultipartUploadCommand(multipart);
      await send((client) => client.send(command, { abortSignal: signal }), signal);
      await setTimeout(ABORT_DELAY_MS * attempt);
    }
  } catch {
    // NoSuchUpload: it is removed. Others: see above.
  }
}

export function conditionOf({ onlyIf }: PutOptions): { IfNoneMatch?: string; IfMatch?: string } {
  if (onlyIf === undefined) return {};
  return onlyIf === 'absent' ? { IfNoneMatch: '*' } : { IfMatch: onlyIf.version };
}

/** Returns our error for a failed condition; any other error unchanged. */
export function s3ConditionError(error: unknown, onlyIf: PutCondition | undefined, key: string): unknown {
  if (onlyIf === undefined) return error;
  if (error instanceof MissingObjectError)
    return new PreconditionError(key, { reason: 'missing', cause: error });
  const code = error instanceof StoreError ? error.failure.code : '';
  // 409: another request was running, and nothing was written.
  if (code === 'ConditionalRequestConflict')
    return new PreconditionError(key, { reason: 'conflict', cause: error });
  return code === 'PreconditionFailed' ? new PreconditionError(key, { cause: error }) : error;
}

function tooLarge({ target, partBytes }: UploadDependencies): StoreError {
  return new StoreError({
    store: `s3 bucket ${JSON.stringify(target.Bucket)}`,
    operation: 'put',
    key: target.Key,
    code: 'EntityTooLarge',
    message: `more than ${MAX_PARTS} parts, the first of ${partBytes} bytes`,
    hint: 'raise [backup] buffer_size',
  });
}
