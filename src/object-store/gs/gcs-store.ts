import { addAbortSignal } from 'node:stream';
import { eachConcurrently } from '../each-concurrently.ts';
import { escapeKey, unescapeKey } from '../escape-key.ts';
import { type HttpResponse, readText } from '../http-request.ts';
import { requireKey, requirePrefix, usableFolders, usableObjects } from '../object-key.ts';
import {
  type GetOptions,
  type ListObjectsOptions,
  type ObjectCall,
  type ObjectFacts,
  type ObjectStore,
  PAGE_OBJECTS,
  type PutOptions,
  type SignOptions,
} from '../object-store.ts';
import { type OpenedRead, type ReadState, rangeHeader, readResumed } from '../read-resumed.ts';
import type { NoteRetry } from '../retry.ts';
import { MissingObjectError, PreconditionError, StoreError, UnchangedError } from '../store-error.ts';
import { drained, type GcsCall, type GcsClient } from './gcs-client.ts';
import { problemOfConnection } from './gcs-errors.ts';
import { signGcsUrl } from './sign-url.ts';
import { uploadObject } from './upload.ts';

/** Number of concurrent requests to delete objects. */
const MAX_DELETIONS = 16;
const FACTS = 'name,size,updated,generation';

/** An object in the JSON API. Numbers are texts there. */
interface GcsObject {
  readonly name?: string;
  readonly size?: string;
  readonly updated?: string;
  readonly generation?: string;
}

interface GcsPage {
  readonly items?: readonly GcsObject[];
  readonly prefixes?: readonly string[];
  readonly nextPageToken?: string;
}

export interface GcsStoreOptions {
  readonly client: GcsClient;
  readonly onRetry: NoteRetry;
  readonly bucket: string;
  readonly endpoint: string;
  /** Bytes of a part of a large object. */
  readonly partBytes: number;
}

/** A bucket of Google Cloud Storage (`gs://bucket`). */
export class GcsStore implements ObjectStore {
  readonly #options: GcsStoreOptions;

  constructor(options: GcsStoreOptions) {
    this.#options = options;
  }

  async *get(key: string, options: GetOptions): AsyncGenerator<Buffer, void, undefined> {
    requireKey(key);
    const call: GcsCall = { operation: 'get', key, signal: options.signal };
    yield* readResumed(options, {
      open: (state) => this.#open(state, call),
      onRetry: this.#options.onRetry,
      toError: (error) => this.#options.client.error(problemOfConnection(error), call),
    });
  }

  async put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<string> {
    requireKey(key);
    const { client, bucket, endpoint, partBytes } = this.#options;
    const name = encodeURIComponent(escapeKey(key, 'gs'));
    return await uploadObject(pieces, options, {
      client,
      partBytes,
      call: { operation: 'put', key, signal: options.signal },
      uploads: new URL(`${endpoint}/upload/storage/v1/b/${bucket}/o?name=${name}`),
      object: this.#url(`/${name}`),
    });
  }

  async head(key: string, { signal }: ObjectCall): Promise<ObjectFacts | undefined> {
    requireKey(key);
    try {
      const url = this.#object(key, { fields: FACTS });
      return factsOf(await this.#json<GcsObject>(url, { operation: 'head', key, signal }));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async *list(
    prefix: string,
    { signal, onUnusable }: ListObjectsOptions,
  ): AsyncGenerator<readonly ObjectFacts[], void, undefined> {
    requirePrefix(prefix);
    const query = {
      prefix: escapeKey(prefix, 'gs'),
      maxResults: String(PAGE_OBJECTS),
      fields: `items(${FACTS}),nextPageToken`,
    };
    const call: GcsCall = { operation: 'list', key: prefix, signal };
    for await (const { items = [] } of this.#pages(query, call)) {
      const named = usableObjects(items.map(factsOf), onUnusable);
      if (named.length > 0) yield named;
    }
  }

  async *listFolders(
    prefix: string,
    { signal }: ObjectCall,
  ): AsyncGenerator<readonly string[], void, undefined> {
    requirePrefix(prefix);
    const query = {
      prefix: escapeKey(prefix, 'gs'),
      delimiter: '/',
      maxResults: String(PAGE_OBJECTS),
      fields: 'prefixes,nextPageToken',
    };
    for await (const { prefixes = [] } of this.#pages(query, { operation: 'list', key: prefix, signal })) {
      const folders = usableFolders(prefixes.map(unescapeKey));
      if (folders.length > 0) yield folders;
    }
  }

  async deleteVersion(key: string, version: string, { signal }: ObjectCall): Promise<void> {
    requireKey(key);
    const url = this.#object(key, { ifGenerationMatch: version });
    const call: GcsCall = { operation: 'delete', key, signal };
    try {
      await this.#options.client.send({ method: 'DELETE', url, read: drained }, call);
    } catch (error) {
      if (isMissing(error)) throw new PreconditionError(key, { reason: 'missing', cause: error });
      if (!(error instanceof StoreError) || error.failure.code !== 'conditionNotMet') throw error;
      throw new PreconditionError(key, { cause: error });
    }
  }

  async delete(keys: readonly string[], { signal }: ObjectCall): Promise<void> {
    keys.forEach(requireKey);
    signal.throwIfAborted();
    await eachConcurrently(keys, MAX_DELETIONS, async (key) => {
      const call: GcsCall = { operation: 'delete', key, signal };
      const request = { method: 'DELETE', url: this.#object(key), read: drained };
      await this.#options.client.send(request, call).catch((error) => {
        if (!isMissing(error)) throw error;
      });
    });
  }

  async signedUrl(key: string, { validMs, signal }: SignOptions): Promise<string | undefined> {
    requireKey(key);
    const { client, bucket, endpoint } = this.#options;
    const call: GcsCall = { operation: 'sign', key, signal };
    const signer = await client.signer(call);
    if (signer === undefined) return undefined;
    try {
      return await signGcsUrl(signer, {
        endpoint,
        path: [bucket, ...escapeKey(key, 'gs').split('/')],
        validMs,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw client.error(problemOfConnection(error), call);
    }
  }

  /** Starts a read at a position; `undefined` if the object ends before it. */
  async #open(state: ReadState, call: GcsCall): Promise<OpenedRead | undefined> {
    const range = rangeHeader(state);
    const { version } = state;
    const query = {
      alt: 'media',
      ...(version !== undefined && { generation: version }),
      ...(version === undefined &&
        state.unlessVersion !== undefined && { ifGenerationNotMatch: state.unlessVersion }),
    };
    const request = {
      method: 'GET',
      url: this.#object(call.key, query),
      ...(range !== undefined && { headers: { range } }),
      read: (response: HttpResponse) => response,
      accepts: [304, 416],
    };
    try {
      const response = await this.#options.client.send(request, call);
      if (response.status === 416) return void (await drained(response));
      if (response.status === 304) {
        await drained(response);
        throw new UnchangedError(call.key);
      }
      const { 'x-goog-generation': generation, 'last-modified': modified = '' } = response.headers;
      if (typeof generation === 'string') state.version = generation;
      state.onFacts({ version: state.version ?? '', modifiedMs: Date.parse(modified) || 0 });
      const body = addAbortSignal(call.signal, response.body); // the request's signal ends only the request
      return { body, contentRange: response.headers['content-range'] };
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw version === undefined ? new MissingObjectError() : this.#replaced(call);
    }
  }

  async #json<T>(url: URL, call: GcsCall): Promise<T> {
    const read = async (response: HttpResponse): Promise<T> => {
      // Google's form of objects and pages: every field is optional and checked where it is used.
      return JSON.parse(await readText(response)) as T;
    };
    return await this.#options.client.send({ method: 'GET', url, read }, call);
  }

  /** Yields the pages of a list. */
  async *#pages(query: Readonly<Record<string, string>>, call: GcsCall): AsyncGenerator<GcsPage> {
    for (let pageToken: string | undefined; ; ) {
      const url = this.#url('', { ...query, ...(pageToken !== undefined && { pageToken }) });
      const page = await this.#page(url, call);
      yield page;
      const { nextPageToken } = page;
      if (nextPageToken === undefined || nextPageToken === '') return;
      if (nextPageToken === pageToken) throw this.#badList(call);
      pageToken = nextPageToken;
    }
  }

  /** Reads a page of a list. The service reports an unknown bucket as a missing object. */
  async #page(url: URL, call: GcsCall): Promise<GcsPage> {
    try {
      return await this.#json<GcsPage>(url, call);
    } catch (error) {
      if (!isMissing(error)) throw error;
      const message = 'the bucket does not exist';
      throw this.#options.client.error(
        { code: 'NoSuchBucket', status: 404, message, isTransient: false },
        call,
      );
    }
  }

  #badList(call: GcsCall): StoreError {
    const message = 'the service sent a part of the list without a way to the rest';
    return this.#options.client.error(
      { code: 'BadResponse', status: undefined, message, isTransient: false },
      call,
    );
  }

  #replaced(call: GcsCall): StoreError {
    const message = 'the object was replaced while it was read';
    return this.#options.client.error(
      { code: 'conditionNotMet', status: 412, message, isTransient: false },
      call,
    );
  }

  #object(key: string, query: Readonly<Record<string, string>> = {}): URL {
    return this.#url(`/${encodeURIComponent(escapeKey(key, 'gs'))}`, query);
  }

  #url(path: string, query: Readonly<Record<string, string>> = {}): URL {
    const { endpoint, bucket } = this.#options;
    const url = new URL(`${endpoint}/storage/v1/b/${encodeURIComponent(bucket)}/o${path}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof StoreError && error.failure.code === 'notFound';
}

function factsOf({ name = '', size = '0', updated = '', generation = '' }: GcsObject): ObjectFacts {
  return {
    key: unescapeKey(name),
    sizeBytes: Number(size),
    modifiedMs: Date.parse(updated) || 0,
    version: generation,
  };
}
