import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import {
  type OpenedStream,
  type Produce,
  StreamCache,
  type StreamCacheOptions,
} from '#storage/cache/streams/stream-cache';
import { makeScratchDirectory } from '#testkit/scratch-directory';

export const KEY = 'key';
export const CHUNK = 64 * 1024;
/** Never aborted. */
export const signal: AbortSignal = new AbortController().signal;

/** Creates a cache that ends with the test, and the parts that tests check. */
export function arrangeStreamCache(context: TestContext, options: Partial<StreamCacheOptions> = {}) {
  const directory = join(makeScratchDirectory('streams'), 'cache');
  const errors: unknown[] = [];
  const usage = { bytes: 0, entries: 0, removed: 0 };
  const cache = new StreamCache<string>({
    directory,
    makeDirectory: async () => void mkdirSync(directory, { recursive: true }),
    maxAgeMs: 60_000,
    minOccurrences: 0,
    hasBackpressure: false,
    maxBytes: 1 << 30,
    onError: (error) => errors.push(error),
    observer: {
      entries: (count) => {
        usage.entries = count;
      },
      diskUsage: (bytes) => {
        usage.bytes = bytes;
      },
      fileRemoved: () => {
        usage.removed++;
      },
    },
    ...options,
  });
  context.after(async () => {
    await cache[Symbol.asyncDispose]();
    rmSync(join(directory, '..'), { recursive: true, force: true });
  });
  const files = (): string[] =>
    existsSync(directory)
      ? readdirSync(directory, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
      : [];
  return { cache, directory, errors, usage, files };
}

/** Content that differs from chunk to chunk. */
export function content(chunks: number): Buffer[] {
  return Array.from({ length: chunks }, (_, index) => Buffer.alloc(CHUNK, `${index} `));
}

/** A producer that waits before each chunk for as many steps as the test has allowed. */
export class Source {
  readonly #chunks: readonly Buffer[];
  #allowed = 0;
  #waiting: (() => void)[] = [];
  starts = 0;
  written = 0;
  abortReason: unknown;
  failure: Error | undefined;

  constructor(chunks: readonly Buffer[]) {
    this.#chunks = chunks;
  }

  allow(chunks = Number.POSITIVE_INFINITY): void {
    this.#allowed += chunks;
    for (const go of this.#waiting.splice(0)) go();
  }

  readonly produce: Produce<string> = async (writer: StreamWriter, aborted: AbortSignal) => {
    this.starts++;
    aborted.addEventListener('abort', () => {
      this.abortReason = aborted.reason;
      this.allow(0);
    });
    for (const chunk of this.#chunks) {
      while (this.#allowed <= 0 && !aborted.aborted)
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.#allowed--;
      await writer.write(chunk);
      this.written++;
    }
    if (this.failure !== undefined) throw this.failure;
    return 'result';
  };
}

export const isComplete = (): boolean => true;

/** A destination that can be stopped. */
export function destination() {
  const chunks: Buffer[] = [];
  let held: (() => void) | undefined;
  const state = { isHeld: false };
  const stream = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      if (state.isHeld) held = done;
      else done();
    },
  }).on('error', () => {});
  return {
    stream,
    hold() {
      state.isHeld = true;
    },
    release() {
      state.isHeld = false;
      held?.();
    },
    bytes: () => Buffer.concat(chunks),
  };
}

export async function readAll({ reader }: OpenedStream<string>, target = destination()): Promise<Buffer> {
  using _ = reader;
  assert.equal(await reader.copyTo(target.stream, { isDirect: true, signal }), 'result');
  return target.bytes();
}
