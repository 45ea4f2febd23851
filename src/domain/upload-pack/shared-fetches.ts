import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { abortable } from '#base/abortable';
import { fileStamp } from '#base/files/file-stamp';
import { messageOf } from '#base/gitaly-error';
import { abortError } from '#git/command/exit-error';
import { flag, gitCommand } from '#git/command/git-command';
import { directoriesKey } from '#git/command/git-directory';
import { stampOf } from '#git/repository-stamp';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import type { OpenedStream } from '#storage/cache/streams/stream-cache';
import { ClientGoneError, type ServiceResult } from '../git-service/service-streams.ts';
import { startBulkService } from '../git-service/start-service.ts';
import { type PackSlot, takePackSlot } from '../pack-objects/pack-slot.ts';
import { packTraceFields, reportReused } from '../pack-objects/pack-trace.ts';
import type { SharedPacksOptions } from '../pack-objects/shared-packs.ts';
import { streamOutput } from '../pack-objects/stream-output.ts';
import {
  exitWithoutGit,
  type Fetch,
  type FetchResult,
  type FetchSharing,
  type RequestedFetch,
} from './fetch.ts';
import { Negotiation } from './negotiation.ts';
import { findReusedPacks, type ReusedPacks } from './reused-packs/find-reused-packs.ts';
import { sendReusedPacks } from './reused-packs/send-reused-packs.ts';
import type { ShareableRequest } from './shareable-request.ts';

/**
 * Answers of `git upload-pack` that identical requests share: those that come while git is writing,
 * and later ones if answers are kept. The request is complete before git starts, so git never waits
 * for a client's input while it counts as a pack.
 *
 * The key has the request, the settings and the repository, and not its references: a request names
 * objects by their ids. Before an earlier answer is sent it is checked that the wanted objects
 * still exist, as git does.
 */
export class SharedFetches implements FetchSharing {
  readonly #options: SharedPacksOptions;

  constructor(options: SharedPacksOptions) {
    this.#options = options;
  }

  /**
   * Serves one request with git's answer, or an identical one.
   *
   * @returns `undefined` if git itself has to serve this request; nothing was written then.
   * @throws {LimitRefusal}; {GitStartError}; {ClientGoneError}; {GitalyError} of an abort.
   */
  async serve(fetch: RequestedFetch, request: ShareableRequest): Promise<FetchResult | undefined> {
    const { streams } = this.#options;
    const key = fetchKey(fetch, request);
    if (key === undefined) return undefined;
    if (streams.has(key) && !(await exist(fetch, request.wants))) return undefined;
    for (;;) {
      const startedAt = performance.now();
      const opened = streams.open(
        key,
        (writer, signal) => this.#run(fetch, request, writer, signal),
        ({ exit }) => exit.code === 0,
      );
      try {
        const result = await this.#copy(opened, fetch, key);
        const negotiation = new Negotiation();
        negotiation.push(request.bytes);
        const { statistics, isWellFormed } = negotiation;
        const exit = { ...result.exit, realMs: performance.now() - startedAt };
        return { ...result, exit, isTooSlow: false, statistics, isWellFormed };
      } catch (error) {
        // It may be the first caller's: a refusal, or an abort before git had started.
        if (!opened.isHit || opened.reader.bytes > 0 || fetch.signal.aborted) throw error;
      }
    }
  }

  async #copy({ isHit, reader, stream }: OpenedStream<ServiceResult>, fetch: Fetch, key: string) {
    const { observer, isCacheEnabled } = this.#options;
    const { requester, signal, streams } = fetch;
    using _ = reader;
    observer.looked(isHit ? 'hit' : 'miss');
    try {
      const result = await this.#deliver(reader, fetch);
      await printed(streams.stderr, result.stderr);
      return result;
    } finally {
      observer.served(reader.bytes);
      if (isHit || isCacheEnabled)
        requester?.log.add({
          'pack_objects_cache.key': key,
          'pack_objects_cache.hit': String(isHit),
          'pack_objects_cache.served_bytes': reader.bytes,
          ...(!isHit && !signal.aborted && { 'pack_objects_cache.generated_bytes': stream.bytes }),
        });
    }
  }

  async #deliver(
    reader: OpenedStream<ServiceResult>['reader'],
    { signal, streams }: Fetch,
  ): Promise<ServiceResult> {
    const isDirect = streams.isDirect === true;
    try {
      return await reader.copyTo(streams.stdout, { isDirect, signal });
    } catch (error) {
      if (signal.aborted) throw abortError(signal);
      if (streams.stdout.destroyed) throw new ClientGoneError(messageOf(error), { cause: error });
      throw error;
    }
  }

  async #run(
    fetch: RequestedFetch,
    request: ShareableRequest,
    writer: StreamWriter,
    signal: AbortSignal,
  ): Promise<ServiceResult> {
    const { observer } = this.#options;
    const { repository, requester } = fetch;
    await using slot = await takePackSlot(this.#options, { repository, requester }, writer, signal);
    const { trace } = slot;
    let written = 0;
    const counted: Pick<StreamWriter, 'write'> = {
      write: (chunk, recycle) => {
        written += chunk.length;
        return writer.write(chunk, recycle);
      },
    };
    try {
      const options = { env: trace.env, signal };
      const found = await repository.inProcess.attempt<ReusedPacks | undefined>(
        'reused_packs',
        () => findReusedPacks(fetch, request, options),
        () => undefined,
      );
      if (found === undefined)
        return await askGit({ ...fetch, signal }, request, { trace, observer }, counted);
      await using reused = found;
      const startedAt = performance.now();
      const hasProgress = !request.others.includes('no-progress');
      await sendReusedPacks(reused, counted, { objects: repository.objects, hasProgress, signal });
      requester.log.add(reportReused(reused, observer));
      if (reused.beyond !== undefined) requester.log.add(await packTraceFields(trace, observer));
      return { exit: exitWithoutGit({ startedAt }), stderr: '' };
    } finally {
      observer.generated(written);
    }
  }
}

/** Copies git's answer. */
async function askGit(
  { config, gitProtocol, repository, requester, signal }: RequestedFetch,
  { bytes }: ShareableRequest,
  { trace, observer }: Pick<PackSlot, 'trace'> & Pick<SharedPacksOptions, 'observer'>,
  writer: Pick<StreamWriter, 'write'>,
): Promise<ServiceResult> {
  const command = gitCommand('upload-pack', {
    options: [flag('--stateless-rpc')],
    args: [repository.path],
  });
  const options = { config, gitProtocol, env: trace.env, stderr: 'head', signal } as const;
  const { process: started, output: pipe } = await startBulkService(repository, command, options);
  await using process = started;
  using output = pipe;
  process.stdin.end(bytes);
  try {
    await streamOutput(process, output, writer);
  } catch (error) {
    if (signal.aborted || !process.isEnding) throw error;
  }
  const exit = await process.exited;
  requester.log.add(await packTraceFields(trace, observer));
  if (signal.aborted) throw abortError(signal);
  return { exit, stderr: process.stderr() };
}

/** Writes what git printed. Its client may be gone: that is no failure of the fetch. */
function printed(stderr: Writable | undefined, text: string): Promise<void> {
  if (stderr === undefined || text === '') return Promise.resolve();
  return new Promise((resolve) => stderr.write(text, () => resolve()));
}

/** Reports whether all objects are there. */
async function exist({ repository, signal }: Fetch, wants: readonly string[]): Promise<boolean> {
  const found = await abortable(
    Promise.all(wants.map((want) => repository.objects.info(want, { signal }))),
    signal,
    abortError,
  );
  return found.every((object) => object !== undefined);
}

/** Returns a key of everything that the answer depends on; `undefined` if it depends on more. */
function fetchKey({ config, gitProtocol, repository }: Fetch, request: ShareableRequest): string | undefined {
  const { path } = repository;
  if (existsSync(join(path, 'shallow')) || existsSync(join(path, 'info', 'grafts'))) return undefined;
  const stamps = [stampOf(repository), fileStamp(join(path, 'config'))];
  const facts = [directoriesKey(repository), stamps, config, gitProtocol, request.key];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}
