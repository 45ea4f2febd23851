import { addAbortSignal, Readable } from 'node:stream';
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { limitedSignal } from '#base/async/limited-signal';
import { eachConcurrently } from '../each-concurrently.ts';
import { escapeKey, unescapeKey } from '../escape-key.ts';
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
import type { StoreOperation } from '../observed-store.ts';
import { type OpenedRead, type ReadState, readResumed } from '../read-resumed.ts';
import { type NoteRetry, waitBeforeRetry } from '../retry.ts';
import { MissingObjectError, StoreError, UnchangedError } from '../store-error.ts';
import { azureError, azureProblemOf, isTransient } from './azure-errors.ts';
import { azureConditionError, unquoted, uploadBlob } from './upload.ts';

/** Number of concurrent requests to delete objects. */
const MAX_DELETIONS = 16;
/** Attempts of a request, with growing random delays between them. */
const MAX_ATTEMPTS = 5;
/** Time for an attempt. */
const REQUEST_TIMEOUT_MS = 5 * 60_000;

export interface AzureStoreOptions {
  readonly container: ContainerClient;
  readonly onRetry: NoteRetry;
  /** Bytes of a block of a large object. */
  readonly partBytes: number;
  /** Returns a URL with which anyone can read a blob; `undefined` without a key to sign with. */
  readonly sign: (blob: BlockBlobClient, expiresOn: Date, signal: AbortSignal) => Promise<string | undefined>;
}

interface ListOptions {
  readonly prefix: string;
  readonly abortSignal: AbortSignal;
}

interface PageSettings {
  readonly maxPageSize: number;
  continuationToken?: string;
}

/** A container of Azure Blob Storage (`azblob://container`). */
export class AzureStore implements ObjectStore {
  readonly #options: AzureStoreOptions;

  constructor(options: AzureStoreOptions) {
    this.#options = options;
  }

  async *get(key: string, options: GetOptions): AsyncGenerator<Buffer, void, undefined> {
    requireKey(key);
    yield* readResumed(options, {
      open: (state) => this.#open(key, state, options.signal),
      onRetry: this.#options.onRetry,
      toError: (error) => azureError(error, this.#call('get', key)),
    });
  }

  async put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<string> {
    requireKey(key);
    return await uploadBlob(pieces, options, {
      key,
      blob: this.#blob(key),
      partBytes: this.#options.partBytes,
      store: this.#call('put', key).store,
      send: (work, signal) => this.#run('put', key, signal, work),
    });
  }

  async head(key: string, { signal }: ObjectCall): Promise<ObjectFacts | undefined> {
    requireKey(key);
    try {
      const send = (abortSignal: AbortSignal) => this.#blob(key).getProperties({ abortSignal });
      const { contentLength, ...properties } = await this.#run('head', key, signal, send);
      return factsOf(key, { ...properties, contentLength });
    } catch (error) {
      if (error instanceof MissingObjectError) return undefined;
      throw error;
    }
  }

  async *list(
    prefix: string,
    { signal, onUnusable }: ListObjectsOptions,
  ): AsyncGenerator<readonly ObjectFacts[], void, undefined> {
    requirePrefix(prefix);
    const { container } = this.#options;
    const pages = this.#pages(prefix, signal, (options) => container.listBlobsFlat(options));
    for await (const { segment } of pages) {
      const objects = segment.blobItems.map(({ name, properties }) => factsOf(unescapeKey(name), properties));
      const named = usableObjects(objects, onUnusable);
      if (named.length > 0) yield named;
    }
  }

  async *listFolders(
    prefix: string,
    { signal }: ObjectCall,
  ): AsyncGenerator<readonly string[], void, undefined> {
    requirePrefix(prefix);
    const { container } = this.#options;
    const pages = this.#pages(prefix, signal, (options) => container.listBlobsByHierarchy('/', options));
    for await (const { segment } of pages) {
      const folders = usableFolders((segment.blobPrefixes ?? []).map(({ name }) => unescapeKey(name)));
      if (folders.length > 0) yield folders;
    }
  }

  async deleteVersion(key: string, version: string, { signal }: ObjectCall): Promise<void> {
    requireKey(key);
    const conditions = { ifMatch: quoted(version) };
    const send = (abortSignal: AbortSignal) => this.#blob(key).delete({ conditions, abortSignal });
    try {
      await this.#run('delete', key, signal, send);
    } catch (error) {
      throw azureConditionError(error, { version }, key);
    }
  }

  async delete(keys: readonly string[], { signal }: ObjectCall): Promise<void> {
    keys.forEach(requireKey);
    signal.throwIfAborted();
    await eachConcurrently(keys, MAX_DELETIONS, async (key) => {
      const send = (abortSignal: AbortSignal) =>
        this.#blob(key).delete({ deleteSnapshots: 'include', abortSignal });
      await this.#run('delete', key, signal, send).catch((error) => {
        if (!(error instanceof MissingObjectError)) throw error;
      });
    });
  }

  async signedUrl(key: string, { validMs, signal }: SignOptions): Promise<string | undefined> {
    requireKey(key);
    const expiresOn = new Date(Math.ceil((Date.now() + validMs) / 1000) * 1000);
    return await this.#run('sign', key, signal, (abortSignal) =>
      this.#options.sign(this.#blob(key), expiresOn, abortSignal),
    );
  }

  /** Yields the pages of a list, each read by a request of its own. */
  async *#pages<P extends { readonly continuationToken?: string }>(
    prefix: string,
    signal: AbortSignal,
    list: (options: ListOptions) => { byPage(settings: PageSettings): AsyncIterable<P> },
  ): AsyncGenerator<P> {
    const settings: PageSettings = { maxPageSize: PAGE_OBJECTS };
    for (;;) {
      const page = await this.#run('list', prefix, signal, async (abortSignal) => {
        const pages = list({ prefix: escapeKey(prefix, 'azblob'), abortSignal }).byPage({ ...settings });
        for await (const first of pages) return first;
        throw this.#failure('list', prefix, 'the service sent no page');
      });
      yield page;
      const { continuationToken: next } = page;
      if (!next) return;
      if (next === settings.continuationToken)
        throw this.#failure('list', prefix, 'the service sent a part of the list without a way to the rest');
      settings.continuationToken = next;
    }
  }

  /** Starts a read at a position; `undefined` if the object ends before it. */
  async #open(key: string, state: ReadState, signal: AbortSignal): Promise<OpenedRead | undefined> {
    const { position, end, version } = state;
    const count = Number.isFinite(end) ? end - position : undefined;
    const options = {
      maxRetryRequests: 0, // a read is resumed here
      ...(version !== undefined && { conditions: { ifMatch: quoted(version) } }),
      ...(version === undefined &&
        state.unlessVersion !== undefined && { conditions: { ifNoneMatch: quoted(state.unlessVersion) } }),
    };
    try {
      const send = (abortSignal: AbortSignal) =>
        this.#blob(key).download(position, count, { ...options, abortSignal });
      const response = await this.#run('get', key, signal, send);
      const { contentRange, etag, lastModified, readableStreamBody: body } = response;
      state.version = unquoted(etag);
      state.onFacts({ version: state.version, modifiedMs: lastModified?.getTime() ?? 0 });
      if (body instanceof Readable) return { body: addAbortSignal(signal, body), contentRange };
      throw this.#failure('get', key, 'the response has no body');
    } catch (error) {
      if (error instanceof StoreError && error.failure.code === 'InvalidRange') return undefined;
      if (isUnchanged(error)) throw new UnchangedError(key);
      throw error;
    }
  }

  /** Runs a call of the SDK and converts its errors to ours. */
  async #run<T>(
    operation: StoreOperation,
    key: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted();
      using limit = limitedSignal(REQUEST_TIMEOUT_MS, signal);
      try {
        return await work(limit.signal);
      } catch (error) {
        signal.throwIfAborted();
        const { code, status } = azureProblemOf(error);
        if (status === 404 && code === 'BlobNotFound') throw new MissingObjectError();
        if (!isTransient(error) || failures === MAX_ATTEMPTS)
          throw azureError(error, this.#call(operation, key));
      }
      this.#options.onRetry(operation);
      await waitBeforeRetry(failures - 1, signal);
    }
  }

  #blob(key: string): BlockBlobClient {
    return this.#options.container.getBlockBlobClient(escapeKey(key, 'azblob'));
  }

  #failure(operation: string, key: string, message: string): StoreError {
    return new StoreError({ ...this.#call(operation, key), code: 'BadResponse', message, hint: undefined });
  }

  #call(operation: string, key: string): { store: string; operation: string; key: string } {
    const { containerName } = this.#options.container;
    return { store: `azblob container ${JSON.stringify(containerName)}`, operation, key };
  }
}

function factsOf(
  key: string,
  facts: {
    readonly contentLength?: number | undefined;
    readonly lastModified?: Date | undefined;
    readonly etag?: string | undefined;
  },
): ObjectFacts {
  return {
    key,
    sizeBytes: facts.contentLength ?? 0,
    modifiedMs: facts.lastModified?.getTime() ?? 0,
    version: unquoted(facts.etag),
  };
}

function isUnchanged(error: unknown): boolean {
  return error instanceof StoreError && error.failure.code === 'NotModified';
}

function quoted(version: string): string {
  return `"${version}"`;
}
