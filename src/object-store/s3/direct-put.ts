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
  /** The SDK's own, with the credentials of the moment. */
  readonly signer: Awaited<ReturnType<S3Client['config']['signer']>>;
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
    const { ServerSideEncryption, SSEKMSKeyId } = this.#options.encryption;
    const { IfMatch, IfNoneMatch } = conditionOf(options);
    const given = {
      'cache-control': HEADERS.CacheControl,
      'content-type': HEADERS.ContentType,
      host: url.host,
      'if-match': IfMatch,
      'if-none-match': IfNoneMatch,
      'x-amz-server-side-encryption': ServerSideEncryption,
      'x-amz-server-side-encryption-aws-kms-key-id': SSEKMSKeyId,
    };
    const headers = Object.fromEntries(
      Object.entries(given).flatMap(([name, value]) => (value ? [[name, value]] : [])),
    );
    const { hostname, pathname: path, protocol } = url;
    const request = { method: 'PUT', protocol, hostname, path, query: {}, headers, body: content };
    const signed = await target.signer.sign(request);
    const call = { method: 'PUT', url, headers: signed.headers, body: [content] };
    const response = await target.connections.send(call, signal);
    await readText(response); // the connection can be used again then
    return response.status === OK ? String(response.headers.etag ?? '') : response.status;
  }

  /** Finds out from a signed URL of the SDK where the bucket is. */
  async #findTarget(): Promise<Target | undefined> {
    const { bucket, client, sdk } = this.#options;
    const command = new sdk.PutObjectCommand({ Bucket: bucket, Key: 'x' });
    const signed = new URL(await sdk.getSignedUrl(client, command, { expiresIn: SIGNED_SECONDS }));
    const [, signingRegion] = CREDENTIAL.exec(signed.searchParams.get('X-Amz-Credential') ?? '') ?? [];
    const { origin, pathname } = signed;
    if (signingRegion === undefined || !pathname.endsWith('/x')) return undefined;
    return {
      base: `${origin}${pathname.slice(0, -1)}`,
      connections: httpConnections(origin),
      signer: await client.config.signer({ name: 'sigv4', signingName: 's3', signingRegion, properties: {} }),
    };
  }
}

function escapeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
