import { createHash } from 'node:crypto';
import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { BAND, sideBandWriter } from '#base/pkt-line/side-band';
import { once } from '#base/streams/once';
import { describeExit, type GitExit } from '#git/command/process/exit-error';
import { stampOfRepository } from '#git/repository-files/repository-stamp';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import type { StreamReader } from '#storage/cache/streams/stream-reader';
import type { Repository } from '#storage/repository';
import {
  ClientGoneError,
  joinStreams,
  type ServiceResult,
  type ServiceStreams,
} from '../git-service/service-streams.ts';
import { GitStartError, startService } from '../git-service/start-service.ts';
import type { PackRequester } from './pack-limits.ts';
import type { PackObjectsRequest } from './pack-objects-request.ts';
import { packTraceFields } from './pack-trace.ts';
import { makeInTurn, type PackTurn, type SharedPacksOptions, sharePack } from './share-pack.ts';

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
    const { repository, requester, signal } = pack;
    const input = await readInput(pack.input);
    // Not the key of a whole fetch: here another program has answered it up to the pack.
    const hash = createHash('sha256').update(
      JSON.stringify([repository.target, stampOfRepository(repository), ...pack.facts]),
    );
    const shared = {
      key: hash.update(input).digest('hex'),
      requester,
      signal,
      make: (stream: StreamWriter, ended: AbortSignal) =>
        makeInTurn(this.#options, pack, { stream, signal: ended }, (turn) => this.#make(pack, input, turn)),
      isLasting: () => true,
    };
    await sharePack(this.#options, shared, send);
  }

  async #make(
    { repository, request, requester }: RequestedPack,
    input: Buffer,
    { signal, trace, writer }: PackTurn,
  ): Promise<ServiceResult> {
    const target = intoStream(writer);
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
      const { line } = statistics;
      if (line !== undefined) requester.log.add({ 'pack_objects.compression_statistics': line });
      requester.log.add(await packTraceFields(trace, this.#options.observer));
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

/** Returns a Writable whose bytes go into a stream. */
function intoStream(writer: PackTurn['writer']): Writable {
  const put = (bytes: Buffer, done: (error?: Error | null) => void): void => {
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
    writev: (items, done) => put(Buffer.concat(items.map((item): Buffer => item.chunk)), done),
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

/** A pack for one fetch. */
interface PackObjectsRun {
  readonly repository: Repository;
  readonly request: PackObjectsRequest;
  /** In: the object ids. Out: the pack, and git's progress. */
  readonly streams: ServiceStreams;
  readonly signal: AbortSignal;
}

/**
 * Makes a pack.
 *
 * @throws {GitalyError} INTERNAL `git-pack-objects: stderr: "…" err: exit status N`; CANCELLED when
 *   the reader has gone.
 */
async function packObjects({ repository, request, streams, signal }: PackObjectsRun): Promise<GitExit> {
  const { command, env } = request;
  try {
    await using process = await startService(repository, command, {
      env,
      stderr: streams.stderr === undefined ? 'head' : 'pipe',
      signal,
    });
    const { exit, stderr } = await joinStreams(process, streams);
    if (exit.code === 0) return exit;
    throw new GitalyError(
      'INTERNAL',
      `git-pack-objects: stderr: ${quote(stderr)} err: ${describeExit(exit)}`,
    );
  } catch (error) {
    if (error instanceof GitStartError) throw wrap(error.cause, 'starting git', 'INTERNAL');
    if (error instanceof ClientGoneError)
      throw new GitalyError('CANCELLED', messageOf(error), { cause: error });
    throw error;
  }
}
