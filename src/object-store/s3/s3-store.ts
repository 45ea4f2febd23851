import { addAbortSignal, Readable } from 'node:stream';
import type { ListObjectsV2CommandOutput, S3Client } from '@aws-sdk/client-s3';
import { JsonFields } from '#base/json-fields';
import { requireKey, requirePrefix, usableFolders, usableObjects } from '../object-key.ts';
import {
  type GetOptions,
  type ListObjectsOptions,
  type ObjectCall,
  type ObjectFacts,
  type ObjectStore,
  PAGE_OBJECTS,
  type PutOptions,
  type SignedPut,
  type SignOptions,
  type SignPutOptions,
} from '../object-store.ts';
import type { StoreOperation } from '../observed-store.ts';
import { type OpenedRead, type ReadState, rangeHeader, readResumed } from '../read-resumed.ts';
import { type NoteRetry, waitBeforeRetry } from '../retry.ts';
import { MissingObjectError, StoreError, UnchangedError } from '../store-error.ts';
import { DirectPut } from './direct-put.ts';
import { isCutResponse, s3Error, s3ProblemOf } from './s3-errors.ts';
import type { S3Options } from './s3-options.ts';
import type { S3Sdk } from './s3-sdk.ts';
import { s3ConditionError, upload } from './upload.ts';

/** Responses in a row that break off before a call fails. The SDK repeats other failures. */
const MAX_CUT_RESPONSES = 4;
const MAX_SIGNED_SECONDS = 7 * 24 * 3600; // limit of S3
/** Largest object that one request stores. */
const MAX_PUT_BYTES = 5 * 1024 ** 3;
/** It has to be signed as a header: as a part of the URL, it would bind nothing. */
const CHECKSUM = 'x-amz-checksum-sha256';

export interface S3StoreOptions extends Omit<S3Options, 'client'> {
  readonly sdk: S3Sdk;
  readonly client: S3Client;
  readonly onRetry: NoteRetry;
  /** Bytes of a part of a large object. */
  readonly partBytes: number;
}

/** A bucket of S3, or of a service with its protocol (`s3://bucket`). */
export class S3Store implements ObjectStore {
  readonly #options: S3StoreOptions;
  readonly #direct: DirectPut | undefined;
  /** A response has shown that the bucket exists. */
  #isFound = false;

  constructor(options: S3StoreOptions) {
    this.#options = options;
    this.#direct = options.isAnonymous ? undefined : new DirectPut(options);
  }

  async *get(key: string, options: GetOptions): AsyncGenerator<Buffer, void, undefined> {
    requireKey(key);
    yield* readResumed(options, {
      open: (state) => this.#open(key, state, options.signal),
      onRetry: this.#options.onRetry,
      toError: (error) => s3Error(error, this.#call('get', key)),
    });
  }

  async put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<string> {
    requireKey(key);
    const { sdk, client, bucket, encryption, partBytes } = this.#options;
    return await upload(pieces, options, {
      sdk,
      partBytes,
      encryption,
      putDirectly: async (...args) => this.#direct?.put(...args),
      target: { Bucket: bucket, Key: key },
      send: (work, signal) => this.#run('put', key, signal, () => work(client)),
    });
  }

  async head(key: string, { signal }: ObjectCall): Promise<ObjectFacts | undefined> {
    requireKey(key);
    const { sdk, client, bucket } = this.#options;
    try {
      const command = new sdk.HeadObjectCommand({ Bucket: bucket, Key: key });
      const head = await this.#run('head', key, signal, () => client.send(command, { abortSignal: signal }));
      return factsOf(key, head.ContentLength, head);
    } catch (error) {
      if (!(error instanceof MissingObjectError)) throw error;
      if (!this.#isFound) await this.#requireBucket(signal);
      return undefined;
    }
  }

  async *list(
    prefix: string,
    { signal, onUnusable }: ListObjectsOptions,
  ): AsyncGenerator<readonly ObjectFacts[], void, undefined> {
    requirePrefix(prefix);
    for await (const { Contents = [] } of this.#pages({ Prefix: prefix }, signal)) {
      const objects = Contents.map((object) => factsOf(object.Key ?? '', object.Size, object));
      const named = usableObjects(objects, onUnusable);
      if (named.length > 0) yield named;
    }
  }

  async *listFolders(
    prefix: string,
    { signal }: ObjectCall,
  ): AsyncGenerator<readonly string[], void, undefined> {
    requirePrefix(prefix);
    for await (const { CommonPrefixes = [] } of this.#pages({ Prefix: prefix, Delimiter: '/' }, signal)) {
      const folders = usableFolders(CommonPrefixes.flatMap(({ Prefix }) => Prefix ?? []));
      if (folders.length > 0) yield folders;
    }
  }

  async deleteVersion(key: string, version: string, { signal }: ObjectCall): Promise<void> {
    requireKey(key);
    const { sdk, client, bucket } = this.#options;
    const command = new sdk.DeleteObjectCommand({ Bucket: bucket, Key: key, IfMatch: version });
    try {
      await this.#run('delete', key, signal, () => client.send(command, { abortSignal: signal }));
    } catch (error) {
      throw s3ConditionError(error, { version }, key);
    }
  }

  async delete(keys: readonly string[], { signal }: ObjectCall): Promise<void> {
    keys.forEach(requireKey);
    signal.throwIfAborted();
    const { sdk, client, bucket } = this.#options;
    for (let first = 0; first < keys.length; first += PAGE_OBJECTS) {
      const page = keys.slice(first, first + PAGE_OBJECTS);
      const command = new sdk.DeleteObjectsCommand({
        Bucket: bucket,
        Delete: { Quiet: true, Objects: page.map((Key) => ({ Key })) },
      });
      const send = () => client.send(command, { abortSignal: signal });
      const { Errors = [] } = await this.#run('delete', page[0] ?? '', signal, send);
      for (const { Key = '', Code = 'Unknown', Message = '' } of Errors)
        if (Code !== 'NoSuchKey')
          throw s3Error(Object.assign(new Error(Message), { name: Code }), this.#call('delete', Key));
    }
  }

  async signedUrl(key: string, { validMs, signal }: SignOptions): Promise<string | undefined> {
    requireKey(key);
    const { sdk, client, bucket, isAnonymous } = this.#options;
    if (isAnonymous) return undefined;
    const expiresIn = Math.min(Math.ceil(validMs / 1000), MAX_SIGNED_SECONDS);
    const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: key });
    return await this.#run('sign', key, signal, () => sdk.getSignedUrl(client, command, { expiresIn }));
  }

  async signedPut(
    key: string,
    { sha256, signal, sizeBytes, validMs }: SignPutOptions,
  ): Promise<SignedPut | undefined> {
    requireKey(key);
    const { sdk, client, bucket, encryption, isAnonymous } = this.#options;
    // The client would have to send the headers of the encryption, with the name of the key.
    const isPlain = Object.values(encryption).every((value) => value === undefined);
    if (isAnonymous || !isPlain || sizeBytes > MAX_PUT_BYTES) return undefined;
    const checksum = sha256.toString('base64');
    const command = new sdk.PutObjectCommand({
      ...{ Bucket: bucket, Key: key, ContentLength: sizeBytes, ChecksumSHA256: checksum },
    });
    const expiresIn = Math.min(Math.ceil(validMs / 1000), MAX_SIGNED_SECONDS);
    const signing = { expiresIn, unhoistableHeaders: new Set([CHECKSUM]) };
    const url = await this.#run('sign', key, signal, () => sdk.getSignedUrl(client, command, signing));
    return { url, headers: { [CHECKSUM]: checksum } };
  }

  /**
   * Looks for the bucket by a request whose response names what is missing: that of a head has no
   * body. Credentials may not permit it. @throws {StoreError} NoSuchBucket
   */
  async #requireBucket(signal: AbortSignal): Promise<void> {
    const { sdk, client, bucket } = this.#options;
    const command = new sdk.ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 });
    try {
      await this.#run('list', '', signal, () => client.send(command, { abortSignal: signal }));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StoreError && error.failure.code === 'NoSuchBucket') throw error;
    }
  }

  /** Yields the pages of a list. */
  async *#pages(
    input: { readonly Prefix: string; readonly Delimiter?: string },
    signal: AbortSignal,
  ): AsyncGenerator<ListObjectsV2CommandOutput> {
    const { sdk, client, bucket } = this.#options;
    const { Prefix: prefix } = input;
    const all = { ...input, Bucket: bucket, MaxKeys: PAGE_OBJECTS };
    for (let token: string | undefined; ; ) {
      const command = new sdk.ListObjectsV2Command({ ...all, ...(token && { ContinuationToken: token }) });
      const send = () => client.send(command, { abortSignal: signal });
      const page = await this.#run('list', prefix, signal, send);
      yield page;
      if (page.IsTruncated !== true) return;
      const next = page.NextContinuationToken;
      if (!next || next === token)
        throw this.#failure('list', prefix, 'the service sent a part of the list without a way to the rest');
      token = next;
    }
  }

  /** Starts a read at a position; `undefined` if the object ends before it. */
  async #open(key: string, state: ReadState, signal: AbortSignal): Promise<OpenedRead | undefined> {
    const { sdk, client, bucket } = this.#options;
    const { version } = state;
    const Range = rangeHeader(state);
    const command = new sdk.GetObjectCommand({
      Bucket: bucket,
      Key: key,
      ...(Range !== undefined && { Range }),
      ...(version !== undefined && { IfMatch: version }),
      ...(version === undefined && state.unlessVersion !== undefined && { IfNoneMatch: state.unlessVersion }),
    });
    try {
      const send = () => client.send(command, { abortSignal: signal });
      const {
        Body,
        ContentRange: contentRange,
        ETag,
        LastModified,
      } = await this.#run('get', key, signal, send);
      state.version = ETag;
      state.onFacts({ version: ETag ?? '', modifiedMs: LastModified?.getTime() ?? 0 });
      // the SDK ends only the request
      if (Body instanceof Readable) return { body: addAbortSignal(signal, Body), contentRange };
      throw this.#failure('get', key, 'the response has no body');
    } catch (error) {
      if (error instanceof StoreError && error.failure.code === 'InvalidRange') return undefined;
      if (error instanceof StoreError && error.failure.code === 'NotModified') throw new UnchangedError(key);
      throw error;
    }
  }

  /** Runs a call of the SDK and converts its errors to ours. */
  async #run<T>(
    operation: StoreOperation,
    key: string,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted();
      try {
        const result = await work();
        this.#noteAttempts(operation, result);
        this.#isFound ||= operation !== 'sign';
        return result;
      } catch (error) {
        this.#noteAttempts(operation, error);
        signal.throwIfAborted();
        const { code, status } = s3ProblemOf(error);
        if (code === 'NoSuchKey' || (code === 'NotFound' && status === 404)) throw new MissingObjectError();
        if (!isCutResponse(error) || failures === MAX_CUT_RESPONSES)
          throw s3Error(error, this.#call(operation, key));
      }
      this.#options.onRetry(operation);
      await waitBeforeRetry(failures, signal);
    }
  }

  /** Reports the attempts of the SDK, which are in its results and its errors. */
  #noteAttempts(operation: StoreOperation, result: unknown): void {
    const attempts = JsonFields.of(result)?.object('$metadata')?.number('attempts') ?? 1;
    if (attempts > 1) this.#options.onRetry(operation, attempts - 1);
  }

  #failure(operation: string, key: string, message: string): StoreError {
    return new StoreError({ ...this.#call(operation, key), code: 'BadResponse', message, hint: undefined });
  }

  #call(operation: string, key: string): { store: string; operation: string; key: string } {
    return { store: `s3 bucket ${JSON.stringify(this.#options.bucket)}`, operation, key };
  }
}

function factsOf(
  key: string,
  sizeBytes: number | undefined,
  { LastModified, ETag }: { LastModified?: Date | undefined; ETag?: string | undefined },
): ObjectFacts {
  return { key, sizeBytes: sizeBytes ?? 0, modifiedMs: LastModified?.getTime() ?? 0, version: ETag ?? '' };
}
