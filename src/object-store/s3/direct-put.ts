import { createHmac, hash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import { httpConnections, readText, type StoreConnections } from '../http-request.ts';
import type { PutOptions } from '../object-store.ts';
import type { NoteRetry } from '../retry.ts';
import { PreconditionError } from '../store-error.ts';
import type { S3Options } from './s3-options.ts';
import type { S3Sdk } from './s3-sdk.ts';
import { conditionOf, HEADERS } from './upload.ts';

export interface DirectPutOptions extends Pick<S3Options, 'bucket' | 'encryption'> {
  readonly sdk: S3Sdk;
  readonly client: S3Client;
  readonly onRetry: NoteRetry;
}

/** Where the objects of a bucket are, and how requests to it are signed. */
interface Target {
  readonly connections: StoreConnections;
  /** URL of the object with an empty key. */
  readonly base: string;
  readonly region: string;
}

/** Larger objects are rare, and the SDK sends them with little more. */
const MAX_BYTES = 1024 * 1024;
const SIGNED_SECONDS = 60;
const OK = 200;
const NOT_FOUND = 404;
const CONFLICT = 409;
const PRECONDITION_FAILED = 412;
const SERVER_ERROR = 500;
/** A URL of a bucket that is signed in another way, as one of S3 Express, does not match. */
const CREDENTIAL = /^[^/]+\/\d{8}\/([^/]+)\/s3\/aws4_request$/;

/**
 * Stores small objects, each with one request and without the SDK, which takes twice the processor
 * time. What fails is left to the SDK: it repeats the request, and reports the reason.
 */
export class DirectPut {
  readonly #options: DirectPutOptions;
  #target: Promise<Target | undefined> | undefined;
  #key: { readonly of: string; readonly bytes: Buffer } | undefined;
  /** The service has refused a request: the SDK may send others. */
  #isRefused = false;

  constructor(options: DirectPutOptions) {
    this.#options = options;
  }

  /**
   * @returns the version; `undefined` if the SDK has to store the object.
   * @throws {PreconditionError}; the reason of the signal.
   */
  async put(key: string, content: Buffer, options: PutOptions): Promise<string | undefined> {
    const { signal } = options;
    if (this.#isRefused || content.length > MAX_BYTES) return undefined;
    this.#target ??= this.#findTarget();
    const target = await this.#target.catch(() => {
      this.#target = undefined; // the SDK reports what is wrong
    });
    if (target === undefined) return undefined;
    const status = await this.#send(target, key, content, options).catch(() => SERVER_ERROR);
    signal.throwIfAborted();
    if (typeof status === 'string') return status;
    if (status === PRECONDITION_FAILED && options.onlyIf !== undefined) throw new PreconditionError(key);
    if (status >= SERVER_ERROR) this.#options.onRetry('put');
    else this.#isRefused = status !== NOT_FOUND && status !== CONFLICT;
    return undefined;
  }

  /** @returns the version, or the status of another response. */
  async #send(target: Target, key: string, content: Buffer, options: PutOptions): Promise<string | number> {
    const { signal } = options;
    const url = new URL(`${target.base}${key.split('/').map(escapeSegment).join('/')}`);
    const headers = await this.#signed(url, target, content, options);
    const response = await target.connections.send({ method: 'PUT', url, headers, body: [content] }, signal);
    await readText(response); // the connection can be used again then
    return response.status === OK ? String(response.headers.etag ?? '') : response.status;
  }

  /** Finds out from a signed URL of the SDK where the bucket is. */
  async #findTarget(): Promise<Target | undefined> {
    const { bucket, client, sdk } = this.#options;
    const command = new sdk.PutObjectCommand({ Bucket: bucket, Key: 'x' });
    const signed = new URL(await sdk.getSignedUrl(client, command, { expiresIn: SIGNED_SECONDS }));
    const [, region] = CREDENTIAL.exec(signed.searchParams.get('X-Amz-Credential') ?? '') ?? [];
    const { origin, pathname } = signed;
    return region === undefined || !pathname.endsWith('/x')
      ? undefined
      : { base: `${origin}${pathname.slice(0, -1)}`, region, connections: httpConnections(origin) };
  }

  /** @see S3: API reference, Authenticating Requests: Using the Authorization Header */
  async #signed(
    url: URL,
    { region }: Target,
    content: Buffer,
    options: PutOptions,
  ): Promise<Record<string, string>> {
    const { accessKeyId, secretAccessKey, sessionToken } = await this.#options.client.config.credentials();
    const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
    const sum = hash('sha256', content);
    const { ServerSideEncryption, SSEKMSKeyId } = this.#options.encryption;
    const { IfMatch, IfNoneMatch } = conditionOf(options);
    const given = {
      'cache-control': HEADERS.CacheControl,
      'content-type': HEADERS.ContentType,
      host: url.host,
      'if-match': IfMatch,
      'if-none-match': IfNoneMatch,
      'x-amz-content-sha256': sum,
      'x-amz-date': time,
      'x-amz-security-token': sessionToken,
      'x-amz-server-side-encryption': ServerSideEncryption,
      'x-amz-server-side-encryption-aws-kms-key-id': SSEKMSKeyId,
    };
    const headers = Object.entries(given).flatMap(([name, value]) => (value ? [[name, value] as const] : []));
    const names = headers.map(([name]) => name).join(';');
    const lines = headers.map(([name, value]) => `${name}:${value}\n`).join('');
    const request = hash('sha256', `PUT\n${url.pathname}\n\n${lines}\n${names}\n${sum}`);
    const signingKey = this.#signingKey(secretAccessKey, scope);
    const signature = hmac(signingKey, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${request}`).toString('hex');
    const authorization =
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, ` +
      `Signature=${signature}`;
    return { ...Object.fromEntries(headers), authorization };
  }

  /** Returns the key of a day. */
  #signingKey(secret: string, scope: string): Buffer {
    const of = `${secret} ${scope}`;
    if (this.#key?.of !== of) {
      const bytes = scope.split('/').reduce<Buffer | string>(hmac, `AWS4${secret}`);
      this.#key = { of, bytes: Buffer.from(bytes) };
    }
    return this.#key.bytes;
  }
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function escapeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
