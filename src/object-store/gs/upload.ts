import { createHash, type Hash, randomUUID } from 'node:crypto';
import { type HttpResponse, readText } from '../http-request.ts';
import type { PutOptions } from '../object-store.ts';
import { checkedPieces } from '../pieces.ts';
import { putInParts } from '../put-in-parts.ts';
import { PreconditionError, StoreError } from '../store-error.ts';
import { drained, type GcsCall, type GcsClient } from './gcs-client.ts';

/** Time for the removal of an incomplete upload, after the call has ended. */
const ABORT_TIMEOUT_MS = 30_000;
const MORE_EXPECTED = 308;
const CANCELLED = 499;
const TYPE = 'application/octet-stream';
/**
 * The same as Gitaly's: a cache must not keep a backup, and a proxy must not change it. @see
 * internal/backup/sink.go
 */
const METADATA = { contentType: TYPE, cacheControl: 'no-store, no-transform' };

export interface GcsUpload {
  readonly client: GcsClient;
  /** A multiple of 256 KiB, as the service requires. */
  readonly partBytes: number;
  readonly call: GcsCall;
  /** Address of uploads, with the name of the object. */
  readonly uploads: URL;
  readonly object: URL;
}

/** Facts of a stored object that show whether all bytes have arrived. */
interface Stored {
  readonly size?: string;
  readonly md5Hash?: string;
  readonly generation?: string;
}

/**
 * Stores an object: in one request if it fits into a part, otherwise in a session, part by part.
 * The next part is collected while one is sent.
 */
export async function uploadObject(
  pieces: AsyncIterable<Uint8Array>,
  options: PutOptions,
  deps: GcsUpload,
): Promise<string> {
  const hash = createHash('md5'); // the checksum of the service
  return await putInParts(hashed(checkedPieces(pieces, options), hash), {
    partBytes: deps.partBytes,
    maxParts: Number.POSITIVE_INFINITY,
    partsPerSize: Number.POSITIVE_INFINITY,
    tooLarge: () => new Error('unreachable: there is no limit of parts'),
    putWhole: (content) => putWhole(content, options, { ...deps, hash }),
    putParts: (parts, sent) => putParts(parts, options, { ...deps, hash, sent }),
    toError: (error) => putError(error, options, deps),
  });
}

async function putWhole(
  content: Buffer,
  options: PutOptions,
  { client, call, uploads, hash }: GcsUpload & { readonly hash: Hash },
): Promise<string> {
  const boundary = randomUUID();
  const metadata = JSON.stringify({ ...METADATA, md5Hash: hash.digest('base64') });
  const head = [
    `--${boundary}`,
    'content-type: application/json',
    '',
    metadata,
    `--${boundary}`,
    `content-type: ${TYPE}`,
    '',
    '',
  ].join('\r\n');
  const stored = await client.send(
    {
      method: 'POST',
      url: withQuery(uploads, { uploadType: 'multipart', ...conditionOf(options) }),
      headers: { 'content-type': `multipart/related; boundary=${boundary}` },
      body: [Buffer.from(head), content, Buffer.from(`\r\n--${boundary}--`)],
      read: readStored,
    },
    call,
  );
  return stored.generation ?? '';
}

interface Session extends GcsUpload {
  readonly hash: Hash;
  readonly sent: Buffer[];
  /** Address of the session; anyone with the address can write to it. */
  readonly session: URL;
}

async function putParts(
  parts: AsyncIterable<Buffer>,
  options: PutOptions,
  deps: Omit<Session, 'session'>,
): Promise<string> {
  const session = await openSession(options, deps);
  try {
    return await sendAll(parts, { ...deps, session });
  } catch (error) {
    await cancel(session, deps);
    throw error;
  }
}

async function openSession(options: PutOptions, { client, call, uploads }: GcsUpload): Promise<URL> {
  const location = await client.send(
    {
      method: 'POST',
      url: withQuery(uploads, { uploadType: 'resumable', ...conditionOf(options) }),
      headers: { 'content-type': 'application/json', 'x-upload-content-type': TYPE },
      body: [Buffer.from(JSON.stringify(METADATA))],
      read: async (response) => {
        await drained(response);
        return response.headers.location ?? '';
      },
    },
    call,
  );
  const session = URL.parse(location);
  if (session !== null) return session;
  throw badResponse('the service opened no session for the upload', { client, call });
}

/** Sends the parts in order; the last one completes the object. */
async function sendAll(parts: AsyncIterable<Buffer>, deps: Session): Promise<string> {
  let offset = 0;
  let waiting: Buffer | undefined;
  let sending: Promise<unknown> = Promise.resolve();
  try {
    for await (const part of parts) {
      await sending;
      if (waiting !== undefined) {
        const [body, start] = [waiting, offset];
        sending = sendPart(body, { start, total: undefined }, deps).then(() => deps.sent.push(body));
        sending.catch(() => {}); // thrown where it is awaited
        offset += body.length;
      }
      waiting = part;
    }
  } finally {
    await sending; // no part must arrive after the upload was cancelled
  }
  const last = waiting ?? Buffer.alloc(0);
  const total = offset + last.length;
  const response = await sendPart(last, { start: offset, total }, deps);
  return await requireStored(response, total, deps);
}

/** Sends a part, and the rest of it if the service has stored only its start. */
async function sendPart(
  body: Buffer,
  { start, total }: { start: number; total: number | undefined },
  deps: Session,
): Promise<HttpResponse> {
  const { client, call, session } = deps;
  const end = start + body.length;
  for (let from = start; ; ) {
    const response = await client.send(
      {
        method: 'PUT',
        url: session,
        headers: { 'content-range': `bytes ${from}-${end - 1}/${total ?? '*'}` },
        body: [body.subarray(from - start)],
        accepts: [MORE_EXPECTED],
        read: (each) => each,
      },
      call,
    );
    if (response.status !== MORE_EXPECTED) return response;
    await drained(response);
    const kept = Number(/^bytes=0-(\d+)$/.exec(response.headers.range ?? '')?.[1] ?? -1) + 1;
    if (kept >= end && total === undefined) return response;
    if (kept < from || kept >= end) throw badResponse('the service lost a part of the upload', deps);
    from = kept;
  }
}

async function readStored(response: HttpResponse): Promise<Stored> {
  // Google's form of objects: every field is optional.
  return JSON.parse(await readText(response)) as Stored;
}

/**
 * Checks that the stored object has all bytes. An object that differs is removed. @returns its
 * version.
 */
async function requireStored(response: HttpResponse, total: number, deps: Session): Promise<string> {
  const { client, call, object, hash } = deps;
  const url = withQuery(object, { fields: 'size,md5Hash,generation' });
  const stored = await readStored(response).catch(() =>
    client.send({ method: 'GET', url, read: readStored }, call),
  );
  const { size, md5Hash, generation } = stored;
  if (Number(size) === total && (md5Hash === undefined || md5Hash === hash.digest('base64')))
    return generation ?? '';
  if (generation !== undefined)
    await client.send({ method: 'DELETE', url: withQuery(object, { generation }), read: drained }, call);
  throw badResponse('the stored object differs from the sent one', deps);
}

/** Removes an incomplete upload. If that fails, the service removes it after a week. */
async function cancel(session: URL, { client, call }: GcsUpload): Promise<void> {
  const signal = AbortSignal.timeout(ABORT_TIMEOUT_MS);
  const request = { method: 'DELETE', url: session, accepts: [CANCELLED], read: drained };
  await client.send(request, { ...call, signal }).catch(() => {}); // the error of the upload counts
}

async function* hashed(pieces: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    hash.update(piece);
    yield piece;
  }
}

function conditionOf({ onlyIf }: PutOptions): Record<string, string> {
  if (onlyIf === undefined) return {};
  return { ifGenerationMatch: onlyIf === 'absent' ? '0' : onlyIf.version };
}

function withQuery(url: URL, query: Readonly<Record<string, string>>): URL {
  const changed = new URL(url);
  for (const [name, value] of Object.entries(query)) changed.searchParams.set(name, value);
  return changed;
}

function badResponse(message: string, { client, call }: Pick<GcsUpload, 'client' | 'call'>): StoreError {
  return client.error({ code: 'BadResponse', status: undefined, message, isTransient: false }, call);
}

/** Returns our error for a failed condition or a missing bucket; other errors unchanged. */
function putError(error: unknown, { onlyIf }: PutOptions, { client, call }: GcsUpload): unknown {
  if (!(error instanceof StoreError)) return error;
  if (onlyIf !== undefined && error.failure.code === 'conditionNotMet')
    return new PreconditionError(call.key, { cause: error });
  if (onlyIf !== undefined && error.failure.code === 'conflict')
    return new PreconditionError(call.key, { reason: 'conflict', cause: error });
  if (error.failure.code !== 'notFound') return error;
  const problem = { code: 'NoSuchBucket', status: 404, message: error.failure.message, isTransient: false };
  return client.error(problem, call);
}
