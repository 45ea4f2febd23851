import { abortable } from '#base/abortable';
import { abortError } from '#git/command/exit-error';
import { lsRefsAnswer, sendPieces } from './answer-ls-refs.ts';
import { converse } from './converse.ts';
import { type Fetch, type FetchResult, resultWithoutGit } from './fetch.ts';
import { Negotiation } from './negotiation.ts';
import { runGit } from './run-git.ts';
import { takeLsRefs } from './take-ls-refs.ts';

/**
 * Serves a fetch to its end: the list of references by ourselves where that is sure to be what git would say, all else by
 * `git upload-pack`. A failing git is no error here: what its exit code means differs between the transports.
 *
 * @throws {GitStartError}; {ClientGoneError}; what the streams fail with; {GitalyError} of an abort.
 */
export async function uploadPack(fetch: Fetch): Promise<FetchResult> {
  const { capabilities, gitProtocol, isStateless } = fetch;
  if (gitProtocol !== 'version=2') return await runGit(fetch);
  if (isStateless) return await answerRequest(fetch);
  return capabilities === undefined ? await runGit(fetch) : await converse(fetch, capabilities);
}

/** One request, one answer. */
async function answerRequest(fetch: Fetch): Promise<FetchResult> {
  const { repository, signal, streams } = fetch;
  const source = streams.input[Symbol.asyncIterator]();
  const taken = await abortable(takeLsRefs(source), signal, abortError);
  const answer = taken.request && (await lsRefsAnswer(repository, taken.request, fetch));
  if (answer === undefined) return await runGit({ ...fetch, streams: { ...streams, input: taken.input } });

  const startedAt = performance.now();
  await abortable(sendPieces(answer, streams.stdout), signal, abortError);
  const negotiation = new Negotiation();
  negotiation.push(taken.bytes);
  return resultWithoutGit(negotiation, { startedAt });
}
