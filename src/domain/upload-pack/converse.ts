import { abortable } from '#base/abortable';
import { FLUSH_PACKET } from '#base/pkt-line/packet';
import { abortError } from '#git/command/exit-error';
import { isListable } from '../git-service/advertised-packets.ts';
import { advertisesBundleUri } from '../git-service/bundle-uri-settings.ts';
import type { CapabilityAdvertisements } from '../git-service/capability-advertisements.ts';
import { watchNegotiation } from '../git-service/negotiation-limit.ts';
import { observingAdvertisement, withoutAdvertisement } from './advertisement-output.ts';
import { lsRefsAnswer, sendPieces } from './answer-ls-refs.ts';
import { type Fetch, type FetchResult, resultWithoutGit } from './fetch.ts';
import { Negotiation } from './negotiation.ts';
import { DONE, runGit } from './run-git.ts';
import { type TakenInput, takeLsRefs } from './take-ls-refs.ts';

/**
 * Serves a conversation in protocol v2. While the client only asks for references, as most fetches
 * do, no process is started. git starts at the first other command; its advertisement is omitted.
 */
export async function converse(fetch: Fetch, capabilities: CapabilityAdvertisements): Promise<FetchResult> {
  const { bundleUri, config, repository, streams } = fetch;
  if (!isListable(repository, { service: 'upload-pack', config })) return await runGit(fetch);
  const { known, remember } = await capabilities.lookUp(repository, [
    ...config,
    advertisesBundleUri(bundleUri),
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
  let rest: TakenInput | undefined;
  {
    using _ = negotiationTimeoutMs === undefined ? undefined : limit(negotiationTimeoutMs, tooSlow);
    const either = AbortSignal.any([signal, tooSlow.signal]);
    try {
      rest = await abortable(answerAlone(fetch, advertisement, negotiation), either, abortError);
    } catch (error) {
      if (!tooSlow.signal.aborted || signal.aborted) throw error;
      return resultWithoutGit(negotiation, { startedAt, isTooSlow: true });
    }
  }
  if (rest === undefined) return resultWithoutGit(negotiation, { startedAt });

  const leftMs = negotiationTimeoutMs && Math.max(1, negotiationTimeoutMs - (performance.now() - startedAt));
  const stdout = withoutAdvertisement(streams.stdout);
  return await runGit(
    { ...fetch, streams: { ...streams, input: rest.input, stdout }, negotiationTimeoutMs: leftMs },
    negotiation,
  );
}

/**
 * Answers until the client is satisfied (`undefined`), or sends a command that git has to answer.
 */
async function answerAlone(
  { repository, config, signal, streams }: Fetch,
  advertisement: readonly Buffer[],
  negotiation: Negotiation,
): Promise<TakenInput | undefined> {
  const source = streams.input[Symbol.asyncIterator]();
  await sendPieces(advertisement, streams.stdout);
  for (;;) {
    const taken = await takeLsRefs(source);
    const answer = taken.request && (await lsRefsAnswer(repository, taken.request, { config, signal }));
    // A client that has everything already ends the conversation with a flush packet.
    if (answer === undefined && !taken.isEnd && !taken.bytes.equals(FLUSH_PACKET)) return taken;
    negotiation.push(taken.bytes);
    if (answer === undefined) return undefined;
    await sendPieces(answer, streams.stdout);
  }
}

function limit(timeoutMs: number, tooSlow: AbortController): Disposable {
  return watchNegotiation({ timeoutMs, until: DONE }, () => tooSlow.abort());
}
