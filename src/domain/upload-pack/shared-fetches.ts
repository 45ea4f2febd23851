import { messageOf } from '#base/gitaly-error';
import { flag, gitCommand } from '#git/command/git-command';
import { OTHERS_FIRST, Overflow, type Place } from '#git/command/overflow';
import { abortError } from '#git/command/process/exit-error';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import type { StreamReader } from '#storage/cache/streams/stream-reader';
import { ClientGoneError, SERVED, type ServiceResult, sendPieces } from '../git-service/service-streams.ts';
import { startBulkService } from '../git-service/start-service.ts';
import {
  type PackTraceObserver,
  packTraceFields,
  reportReused,
  reportSent,
} from '../pack-objects/pack-trace.ts';
import { makeInTurn, type PackTurn, type SharedPacksOptions, sharePack } from '../pack-objects/share-pack.ts';
import { streamOutput } from '../pack-objects/stream-output.ts';
import type { ClientRequest } from './client-input.ts';
import type { Fetch, FetchServer } from './fetch.ts';
import { AnswerCopy, fetchKey, KeptAnswers, type KeptPlace } from './kept-answers.ts';
import type { FetchRequest } from './request-parser.ts';
import { findReusedPacks, type ReusedPacks } from './reused-packs/find-reused-packs.ts';
import { sendReusedPacks } from './reused-packs/send-reused-packs.ts';
import { findWalkedPack, type WalkedPack } from './walked-packs/find-walked-pack.ts';
import { type Negotiated, negotiate } from './walked-packs/negotiate.ts';
import { sendWalkedPack } from './walked-packs/send-walked-pack.ts';
import { walkedRequest } from './walked-packs/walked-request.ts';

/** A whole fetch, for which a pack is made. */
interface WantedPack {
  readonly fetch: Fetch;
  readonly request: FetchRequest;
  readonly bytes: Buffer;
  readonly observer: PackTraceObserver;
  readonly overflow: Overflow;
}

/**
 * Sends the same answer to all clients with the same request: one that is kept in memory, one that
 * is being made, or one of the cache of packs. The request is complete before git starts, so git
 * never waits for a client's input while it counts as a pack.
 *
 * Before it sends an earlier answer, it checks that the wanted objects still exist, as git does.
 */
export class SharedFetches implements FetchServer {
  readonly #options: SharedPacksOptions;
  readonly #kept = new KeptAnswers();
  readonly #overflow = new Overflow();

  constructor(options: SharedPacksOptions) {
    this.#options = options;
  }

  async serve({ bytes, command: request }: ClientRequest, fetch: Fetch): Promise<ServiceResult | undefined> {
    if (request?.name !== 'fetch') return undefined;
    const { observer, streams } = this.#options;
    const key = fetchKey(fetch, request);
    if (key === undefined) return undefined;
    const place = await this.#kept.find(key, fetch, request);
    if (place?.answer !== undefined) {
      await sendPieces([place.answer], fetch.streams.stdout);
      return SERVED;
    }
    const isThere = streams.has(key);
    if (isThere && !(await exist(fetch, request.wants))) return undefined;
    if (!isThere && !request.isDone) {
      const negotiated = await negotiateInProcess(fetch, request);
      // Over SSH, one git has to serve the whole negotiation.
      if (negotiated === undefined && !fetch.isStateless) return undefined;
      if (negotiated?.isReady === false) {
        await sendPieces([negotiated.answer], fetch.streams.stdout);
        return SERVED;
      }
    }
    const wanted = { fetch, request, bytes, observer, overflow: this.#overflow };
    const pack = {
      key,
      requester: fetch.requester,
      signal: fetch.signal,
      make: (stream: StreamWriter, signal: AbortSignal) =>
        makeInTurn(this.#options, fetch, { stream, signal }, (turn) => make(wanted, turn, place)),
      isLasting: ({ exit }: ServiceResult) => exit.code === 0,
    };
    return await sharePack(this.#options, pack, (reader) => deliver(reader, fetch));
  }
}

/** Writes the answer, and keeps a copy if there is a place for it. */
async function make(wanted: WantedPack, turn: PackTurn, kept: KeptPlace | undefined): Promise<ServiceResult> {
  const copy = kept && new AnswerCopy();
  const writer: PackTurn['writer'] = {
    write(bytes, recycle) {
      copy?.add(bytes);
      return turn.writer.write(bytes, recycle);
    },
  };
  const copied = { ...turn, writer };
  // The loop has one processor, and git others.
  const isShared = wanted.request.others.some((word) => word.startsWith('have '));
  using place = isShared ? await wanted.overflow.place(turn.signal) : undefined;
  const result =
    (await reusePacks(wanted, copied, place)) ??
    (await walkObjects(wanted, copied, place)) ??
    (await askGit(wanted, copied, place));
  if (copy !== undefined && result.exit.code === 0) await kept?.keep(copy, turn.signal);
  return result;
}

/** Sends packs of the repository as they are, without git. */
async function reusePacks(
  { fetch, request, observer }: WantedPack,
  { signal, trace, writer }: PackTurn,
  place: Place | undefined,
): Promise<ServiceResult | undefined> {
  const { repository, requester } = fetch;
  const found = await repository.inProcess.attempt<ReusedPacks | undefined>(
    'reused_packs',
    () => {
      if (place?.isOnLoop === false) throw OTHERS_FIRST;
      return findReusedPacks(fetch, request, { signal, trace });
    },
    () => undefined,
  );
  if (found === undefined) return undefined;
  await using reused = found;
  const hasProgress = !request.others.includes('no-progress');
  await sendReusedPacks(reused, writer, { objects: repository.objects, hasProgress, signal });
  requester.log.add(reportReused(reused, observer));
  if (reused.beyond !== undefined) requester.log.add(await packTraceFields(trace, observer));
  return SERVED;
}

/** Sends objects that are found by walking, without git. */
async function walkObjects(
  { fetch, request, observer }: WantedPack,
  { signal, writer }: PackTurn,
  place: Place | undefined,
): Promise<ServiceResult | undefined> {
  const { repository, requester } = fetch;
  const found = await repository.inProcess.attempt<WalkedPack | undefined>(
    'walked_packs',
    () => {
      if (place?.isOnLoop === false) throw OTHERS_FIRST;
      return findWalkedPack(fetch, request, signal);
    },
    () => undefined,
  );
  if (found === undefined) return undefined;
  using pack = found;
  requester.log.add(reportSent(await sendWalkedPack(pack, writer, { repository, signal }), observer));
  return SERVED;
}

/** Copies git's answer. */
async function askGit(
  { bytes, fetch, observer }: WantedPack,
  { signal, trace, writer }: PackTurn,
  place: Place | undefined,
): Promise<ServiceResult> {
  const { config, gitProtocol, repository, requester } = fetch;
  place?.moveToGit();
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

/** Sends an answer, and what git printed. */
async function deliver(
  reader: StreamReader<ServiceResult>,
  { signal, streams }: Fetch,
): Promise<ServiceResult> {
  const { isDirect = false, stderr, stdout } = streams;
  try {
    const result = await reader.copyTo(stdout, { isDirect, signal });
    // The client may be gone: that is no failure of the fetch.
    if (stderr !== undefined && result.stderr !== '')
      await new Promise<void>((resolve) => stderr.write(result.stderr, () => resolve()));
    return result;
  } catch (error) {
    if (signal.aborted) throw abortError(signal);
    if (stdout.destroyed) throw new ClientGoneError(messageOf(error), { cause: error });
    throw error;
  }
}

/** Answers the commits that a client names; `undefined` if git has to. */
async function negotiateInProcess(fetch: Fetch, request: FetchRequest): Promise<Negotiated | undefined> {
  const { repository, signal } = fetch;
  return await repository.inProcess.attempt<Negotiated | undefined>(
    'negotiation',
    () => negotiate(repository, walkedRequest(fetch, request), signal),
    () => undefined,
  );
}

/** Reports whether all objects are there. */
async function exist({ repository, signal }: Fetch, wants: readonly string[]): Promise<boolean> {
  const found = await Promise.all(wants.map((want) => repository.objects.info(want, { signal })));
  return found.every((object) => object !== undefined);
}
