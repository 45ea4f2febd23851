import { JsonFields } from '#base/json-fields';
import { mapAhead } from '#base/streams/map-ahead';
import type { LfsObjects, LfsPointer } from '#object-store/lfs-objects';
import type { Answer } from '../answer.ts';
import { lfsAnswer, lfsError } from './lfs-answer.ts';

/** git-lfs sends 100 at a time. */
const MAX_OBJECTS = 1000;
/** Searches at a time, each a request to a bucket. */
const AHEAD = 16;
const OID = /^[0-9a-f]{64}$/;

export interface BatchRequest {
  readonly operation: 'download' | 'upload';
  readonly objects: readonly LfsPointer[];
}

/** Parses the body of a batch. @returns the request, or its refusal. */
export function parseBatch(body: Buffer): BatchRequest | { readonly refusal: Answer } {
  const fields = JsonFields.parse(body.toString());
  const operation = fields?.text('operation');
  const objects = fields?.list('objects');
  if (fields === undefined || objects === undefined || (operation !== 'download' && operation !== 'upload'))
    return { refusal: lfsError(422, 'This is not a batch: it needs "operation" and "objects".') };
  const transfers = fields.list('transfers');
  if (transfers !== undefined && !transfers.includes('basic'))
    return { refusal: lfsError(422, 'This server supports only the transfer "basic".') };
  if ((fields.text('hash_algo') ?? 'sha256') !== 'sha256')
    return { refusal: lfsError(409, 'This server supports only the hash algorithm sha256.') };
  if (objects.length > MAX_OBJECTS)
    return { refusal: lfsError(413, `A batch has at most ${MAX_OBJECTS} objects.`) };
  const pointers = objects.map(pointerOf);
  if (pointers.includes(undefined))
    return { refusal: lfsError(422, 'An object needs "oid", a SHA-256, and "size", a natural number.') };
  return { operation, objects: pointers.filter((pointer) => pointer !== undefined) };
}

/** Parses the name and size of a file; `undefined` if they are not valid. */
export function pointerOf(value: unknown): LfsPointer | undefined {
  const fields = JsonFields.of(value);
  const [oid, size] = [fields?.text('oid'), fields?.number('size')];
  if (oid === undefined || !OID.test(oid) || size === undefined) return undefined;
  return Number.isSafeInteger(size) && size >= 0 ? { oid, size } : undefined;
}

export interface BatchContext {
  readonly objects: LfsObjects;
  /** Address of the files, without a slash at its end. */
  readonly base: string;
  /** Headers that the client must send with the files. */
  readonly header: Readonly<Record<string, string>> | undefined;
  readonly expiresIn: number;
  /** Largest file that clients store in the bucket directly; `undefined` if they may not. */
  readonly maxDirectBytes: number | undefined;
  readonly signal: AbortSignal;
}

/** Answers a batch: where each file is loaded from, or stored. */
export async function answerBatch(request: BatchRequest, context: BatchContext): Promise<Answer> {
  const answers = await Array.fromAsync(
    mapAhead(request.objects, AHEAD, (pointer) => answerOne(pointer, request.operation, context)),
  );
  return lfsAnswer(200, { transfer: 'basic', objects: answers, hash_algo: 'sha256' });
}

async function answerOne(
  { oid, size }: LfsPointer,
  operation: BatchRequest['operation'],
  { base, expiresIn, header, maxDirectBytes, objects, signal }: BatchContext,
): Promise<object> {
  const found = await (operation === 'upload' ? objects.claim(oid, signal) : objects.find(oid, signal));
  const action = (address: string): object => ({
    href: `${base}/${address}`,
    ...(header && { header }),
    expires_in: expiresIn,
  });
  if (operation === 'upload') {
    if (found?.size === size) return { oid, size };
    const isDirect = maxDirectBytes !== undefined && size <= maxDirectBytes;
    const put = isDirect ? await objects.signedPut({ oid, size }, expiresIn, signal) : undefined;
    const upload = put ? { href: put.url, header: put.headers, expires_in: expiresIn } : action(oid);
    return { oid, size, actions: { upload, verify: action('verify') } };
  }
  if (found === undefined)
    return { oid, size, error: { code: 404, message: 'The server has no such file.' } };
  const href = await objects.signedUrl(found, expiresIn, signal);
  const download = href === undefined ? action(oid) : { href, expires_in: expiresIn };
  return { oid, size: found.size, actions: { download } };
}
