import { createHash } from 'node:crypto';
import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { GitalyError } from '#base/gitaly-error';
import { BAND, sideBandWriter } from '#base/pkt-line/side-band';
import { stampOf } from '#git/repository-stamp';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import type { StreamCache } from '#storage/cache/streams/stream-cache';
import type { StreamReader } from '#storage/cache/streams/stream-reader';
import type { Repository } from '#storage/repository';
import type { ServiceResult } from '../git-service/service-streams.ts';
import type { PackLimits, PackRequester } from './pack-limits.ts';
import { packObjects } from './pack-objects.ts';
import type { PackObjectsRequest } from './pack-objects-request.ts';
import { takePackSlot } from './pack-slot.ts';
import { type PackTraceObserver, packTraceFields } from './pack-trace.ts';

/** Notified of shared packs, for metrics. */
export interface SharedPackObserver extends PackTraceObserver {
  looked(result: 'hit' | 'miss'): void;
  generated(bytes: number): void;
  served(bytes: number): void;
}

export interface SharedPacksOptions {
  readonly streams: StreamCache<ServiceResult>;
  readonly limits: PackLimits;
  readonly observer: SharedPackObserver;
  /** True if packs are kept: then each call logs its lookup. */
  readonly isCacheEnabled: boolean;
  /** For the traces of git. */
  readonly traceDirectory: string;
}

/** A pack that a hook of upload-pack requests. */
export interface RequestedPack {
  readonly repository: Repository;
  readonly request: PackObjectsRequest;
  /** Everything else that the pack depends on. */
  readonly facts: readonly unknown[];
  /** Object ids for git's standard input. */
  readonly input: AsyncIterable<Uint8Array>;
  readonly requester: PackRequester;
  readonly signal: AbortSignal;
}

/** A list of 800,000 objects. */
const MAX_INPUT_BYTES = 32 << 20;
const MAX_STATISTICS_BYTES = 4096;

/** Packs that identical requests of the pack-objects hook share. */
export class SharedPacks {
  readonly #options: SharedPacksOptions;

  constructor(options: SharedPacksOptions) {
    this.#options = options;
  }

  /**
   * Makes a pack, or opens one that is there.
   *
   * @param send reads the pack and git's progress, as side-band packets.
   * @throws {LimitRefusal}; the errors of {@link packObjects} and of `send`.
   */
  async serve(
    pack: RequestedPack,
    send: (reader: StreamReader<ServiceResult>) => Promise<void>,
  ): Promise<void> {
    const { isCacheEnabled, observer, streams } = this.#options;
    const { requester, signal } = pack;
    const input = await readInput(pack.input);
    const hash = createHash('sha256').update(
      JSON.stringify([pack.repository.target, stampOf(pack.repository), ...pack.facts]),
    );
    const key = hash.update(input).digest('hex');
    for (;;) {
      const { isHit, reader, stream } = streams.open(
        key,
        (writer, aborted) => this.#make(pack, input, writer, aborted),
        () => true,
      );
      using _ = reader;
      observer.looked(isHit ? 'hit' : 'miss');
      try {
        await send(reader);
        return;
      } catch (error) {
        // It may be the first caller's: a refusal, or an abort before git had started.
        if (!isHit || reader.bytes > 0 || signal.aborted) throw error;
      } finally {
        observer.served(reader.bytes);
        if (isHit || isCacheEnabled)
          requester.log.add({
            'pack_objects_cache.key': key,
            'pack_objects_cache.hit': String(isHit),
            'pack_objects_cache.served_bytes': reader.bytes,
            ...(!isHit && { 'pack_objects_cache.generated_bytes': stream.bytes }),
          });
      }
    }
  }

  async #make(
    { repository, request, requester }: RequestedPack,
    input: Buffer,
    writer: StreamWriter,
    signal: AbortSignal,
  ): Promise<ServiceResult> {
    const { observer } = this.#options;
    await using slot = await takePackSlot(this.#options, { repository, requester }, writer, signal);
    const { trace } = slot;
    let generated = 0;
    const target = intoStream(writer, (bytes) => {
      generated += bytes;
    });
    const [stdout, progress] = [sideBandWriter(target, BAND.stdout), sideBandWriter(target, BAND.stderr)];
    const statistics = new Statistics();
    const stderr = statistics.observe(progress);
    try {
      const exit = await packObjects({
        repository,
        request: { ...request, env: { ...request.env, ...trace.env } },
        streams: { input: once(input), stdout, stderr },
        signal,
      });
      for (const band of [stderr, progress, stdout]) {
        band.end();
        await finished(band);
      }
      return { exit, stderr: '' };
    } finally {
      observer.generated(generated);
      const { line } = statistics;
      if (line !== undefined) requester.log.add({ 'pack_objects.compression_statistics': line });
      requester.log.add(await packTraceFields(trace, observer));
    }
  }
}

/** Finds git's line `Total …` in its progress. */
class Statistics {
  #tail = '';

  get line(): string | undefined {
    return /Total [^\r\n]*/.exec(this.#tail)?.[0];
  }

  observe(target: Writable): Writable {
    const write = (chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void => {
      this.#tail = `${this.#tail}${chunk.toString('latin1')}`.slice(-MAX_STATISTICS_BYTES);
      target.write(chunk, done);
    };
    return new Writable({ highWaterMark: 1, write }).on('error', () => {});
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Returns a Writable whose bytes go into a stream. */
function intoStream(writer: StreamWriter, onBytes: (bytes: number) => void): Writable {
  const put = (bytes: Buffer, done: (error?: Error | null) => void): void => {
    onBytes(bytes.length);
    try {
      (writer.write(bytes) ?? Promise.resolve()).then(() => done(), done);
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  };
  return new Writable({
    highWaterMark: 64 * 1024,
    // Copies, because git's buffers are used again.
    write: (chunk: Buffer, _encoding, done) => put(Buffer.from(chunk), done),
    // decodeStrings is on, so strings are decoded before.
    writev: (items, done) => put(Buffer.concat(items.map((item) => item.chunk as Buffer)), done),
  }).on('error', () => {});
}

async function readInput(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > MAX_INPUT_BYTES) throw new GitalyError('RESOURCE_EXHAUSTED', 'too many objects for one pack');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
