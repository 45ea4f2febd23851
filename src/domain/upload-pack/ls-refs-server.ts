import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';
import { advertisedPackets } from '../git-service/advertised-packets.ts';
import { SERVED, sendPieces } from '../git-service/service-streams.ts';
import type { FetchServer } from './fetch.ts';
import type { LsRefsRequest } from './request-parser.ts';

/** Answers `ls-refs` in process. */
export const lsRefsServer: FetchServer = {
  async serve({ command }, { config, repository, signal, streams }) {
    if (command?.name !== 'ls-refs') return undefined;
    const answer = await lsRefsAnswer(repository, command, { config, signal });
    if (answer === undefined) return undefined;
    await sendPieces(answer, streams.stdout);
    return SERVED;
  },
};

/**
 * Returns the bytes of `git upload-pack`'s answer, in pieces that must not be changed; `undefined`
 * where only git can answer, including errors of a damaged repository.
 *
 * @throws {GitalyError} of an abort.
 */
export async function lsRefsAnswer(
  repository: Repository,
  { objectFormat, ...query }: LsRefsRequest,
  options: { readonly config: readonly ConfigPair[]; readonly signal: AbortSignal },
): Promise<Buffer[] | undefined> {
  return await advertisedPackets(repository, options, (settings) =>
    objectFormat === settings.objectFormat
      ? { ...query, unborn: query.unborn && settings.allowsUnborn }
      : undefined,
  );
}
