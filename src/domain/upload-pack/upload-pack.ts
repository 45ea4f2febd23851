import { abortable } from '#base/abortable';
import { abortError } from '#git/command/exit-error';
import { lsRefsAnswer, sendPieces } from './answer-ls-refs.ts';
import { converse } from './converse.ts';
import { type Fetch, type FetchResult, resultWithoutGit } from './fetch.ts';
import type { FetchQuestion } from './fetch-answers.ts';
import { Negotiation } from './negotiation.ts';
import { runGit } from './run-git.ts';
import { takeFetch } from './take-fetch.ts';
import { type TakenInput, takeLsRefs } from './take-ls-refs.ts';

/**
 * Serves a fetch to its end. This process lists the references if the result is sure to equal
 * git's, and repeats answers to small clones; `git upload-pack` does everything else. A failing git
 * is no error here: the meaning of its exit code differs between the transports.
 *
 * @throws {GitStartError}; {ClientGoneError}; errors of the streams; {GitalyError} of an abort.
 */
export async function uploadPack(fetch: Fetch): Promise<FetchResult> {
  const { capabilities, gitProtocol, isStateless } = fetch;
  if (gitProtocol !== 'version=2') return await runGit(fetch);
  if (isStateless) return await answerRequest(fetch);
  return capabilities === undefined ? await runGit(fetch) : await converse(fetch, capabilities);
}

/** Serves one request and one answer. */
async function answerRequest(fetch: Fetch): Promise<FetchResult> {
  const { repository, signal, streams } = fetch;
  const source = streams.input[Symbol.asyncIterator]();
  const taken = await abortable(takeLsRefs(source), signal, abortError);
  const question =
    taken.request === undefined ? await fetch.answers?.ask(repository, taken.bytes, fetch) : undefined;
  const answer =
    taken.request === undefined
      ? question?.answer && [question.answer]
      : await lsRefsAnswer(repository, taken.request, fetch);
  if (answer === undefined) return await askGit(fetch, question, taken, source);

  const startedAt = performance.now();
  await abortable(sendPieces(answer, streams.stdout), signal, abortError);
  const negotiation = new Negotiation();
  negotiation.push(taken.bytes);
  return resultWithoutGit(negotiation, { startedAt });
}

/** Shares or runs git, and keeps its answer if the same question may come again. */
async function askGit(
  fetch: Fetch,
  question: FetchQuestion | undefined,
  { bytes, hasFailed, input: allInput }: TakenInput,
  source: AsyncIterator<Uint8Array>,
): Promise<FetchResult> {
  const { packs, requester, signal, streams } = fetch;
  const stdout = question?.observe(streams.stdout) ?? streams.stdout;
  let input = allInput;
  let result: FetchResult | undefined;
  if (packs !== undefined && requester !== undefined && !hasFailed) {
    const taken = await abortable(takeFetch(bytes, source), signal, abortError);
    const { request } = taken;
    input = taken.input;
    if (request !== undefined)
      result = await packs.shared.serve({ ...fetch, requester, streams: { ...streams, stdout } }, request);
  }
  result ??= await runGit({ ...fetch, streams: { ...streams, input, stdout } });
  if (result.exit.code === 0) await question?.keep();
  return result;
}
