import { abortable } from '#base/abortable';
import { FLUSH_PACKET } from '#base/pkt-line/packet';
import { abortError } from '#git/command/exit-error';
import { isListable } from '../git-service/advertised-packets.ts';
import { advertisesBundleUri } from '../git-service/bundle-uri-settings.ts';
import type { CapabilityAdvertisements } from '../git-service/capability-advertisements.ts';
import { type NegotiationWatch, watchNegotiation } from '../git-service/negotiation-limit.ts';
import { observingAdvertisement, withoutAdvertisement } from './advertisement-output.ts';
import { lsRefsAnswer, sendPieces } from './answer-ls-refs.ts';
import { type Fetch, type FetchResult, resultWithoutGit } from './fetch.ts';
import { Negotiation } from './negotiation.ts';
import { DONE, runGit } from './run-git.ts';
import { takeFetch } from './take-fetch.ts';
import { type TakenInput, takeLsRefs } from './take-ls-refs.ts';

/**
 * Serves a conversation in protocol v2. While the client only requests references, as most fetches
 * do, no process is started. git starts at the first other command; its advertisement is omitted.
 */
export async function converse(fetch: Fetch, capabilities: CapabilityAdvertisements): Promise<FetchResult> {
  const { bundles, config, repository, streams } = fetch;
  if (!isListable(repository, { service: 'upload-pack', config })) return await runGit(fetch);
  const { known, remember } = await capabilities.lookUp(repository, [
    ...config,
    advertisesBundleUri(bundles),
  ]);
  if (known !== undefined) return await beginWithoutGit(fetch, known);
  const stdout = observingAdvertisement(streams.stdout, (advertisement) => void remember([advertisement]));
  return await runGit({ ...fetch, streams: { ...streams, stdout } });
}

async function beginWithoutGit(fetch: Fetch, advertisement: readonly Buffer[]): Promise<FetchResult> {
  const { signal, streams, negotiationTimeoutMs } = fetch;
  const startedAt = performance.now();
  const negotiation = new Negotiation();
  const tooSlow = new AbortController();
  let rest: Rest | undefined;
  {
    using watch = negotiationTimeoutMs === undefined ? undefined : limit(negotiationTimeoutMs, tooSlow);
    const either = AbortSignal.any([signal, tooSlow.signal]);
    try {
      rest = await abortable(answerAlone(fetch, advertisement, { negotiation, watch }), either, abortError);
    } catch (error) {
      if (!tooSlow.signal.aborted || signal.aborted) throw error;
      return resultWithoutGit(negotiation, { startedAt, isTooSlow: true });
    }
  }
  if (rest === undefined) return resultWithoutGit(negotiation, { startedAt });
  if ('result' in rest) {
    const { statistics, isWellFormed } = negotiation;
    return { ...rest.result, statistics, isWellFormed };
  }
  const leftMs = negotiationTimeoutMs && Math.max(1, negotiationTimeoutMs - (performance.now() - startedAt));
  const stdout = withoutAdvertisement(streams.stdout);
  return await runGit(
    { ...fetch, streams: { ...streams, input: rest.input, stdout }, negotiationTimeoutMs: leftMs },
    negotiation,
  );
}

/** Receives copies of the requests that get a response. */
interface Observers {
  readonly negotiation: Negotiation;
  readonly watch: NegotiationWatch | undefined;
}

/** The rest of a conversation: input for git, or how a shared git has failed. */
type Rest = { readonly input: AsyncIterable<Uint8Array> } | { readonly result: FetchResult };

/**
 * Answers until the client is satisfied (`undefined`), or sends a command that a separate git has
 * to answer.
 */
async function answerAlone(
  fetch: Fetch,
  advertisement: readonly Buffer[],
  observers: Observers,
): Promise<Rest | undefined> {
  const { repository, config, signal, streams } = fetch;
  const source = streams.input[Symbol.asyncIterator]();
  await sendPieces(advertisement, streams.stdout);
  for (;;) {
    const taken = await takeLsRefs(source);
    const answer = taken.request && (await lsRefsAnswer(repository, taken.request, { config, signal }));
    // A client that has everything already ends the conversation with a flush packet.
    if (answer === undefined && !taken.isEnd && !taken.bytes.equals(FLUSH_PACKET)) {
      const rest = await shareFetch(fetch, { taken, source, observers });
      if (rest !== undefined) return rest;
      continue;
    }
    observers.negotiation.push(taken.bytes);
    if (answer === undefined) return undefined;
    await sendPieces(answer, streams.stdout);
  }
}

/**
 * Serves a clone, whose single request is complete, like other clients. @returns `undefined` when
 * the conversation goes on.
 */
async function shareFetch(
  fetch: Fetch,
  parts: {
    readonly taken: TakenInput;
    readonly source: AsyncIterator<Uint8Array>;
    readonly observers: Observers;
  },
): Promise<Rest | undefined> {
  const { answers, packs, repository, requester, streams } = fetch;
  const { taken, source, observers } = parts;
  if (packs === undefined || requester === undefined || taken.hasFailed) return { input: taken.input };
  const { input, request } = await takeFetch(taken.bytes, source);
  if (request?.isDone !== true) return { input };
  // The request is complete: the pack has no time limit.
  observers.watch?.push(request.bytes);
  const question = await answers?.ask(repository, request.bytes, fetch);
  if (question?.answer !== undefined) {
    observers.negotiation.push(request.bytes);
    await sendPieces([question.answer], streams.stdout);
    return undefined;
  }
  const stdout = question?.observe(streams.stdout) ?? streams.stdout;
  const result = await packs.shared.serve({ ...fetch, requester, streams: { ...streams, stdout } }, request);
  if (result === undefined) return { input };
  observers.negotiation.push(request.bytes);
  if (result.exit.code !== 0) return { result };
  await question?.keep();
  return undefined;
}

function limit(timeoutMs: number, tooSlow: AbortController): NegotiationWatch {
  return watchNegotiation({ timeoutMs, until: DONE }, () => tooSlow.abort());
}
