import { mapInTurns } from '#base/async/loop-turns';
import { invalidArgument } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import { diskUsage } from '#domain/history/disk-usage';
import { openRequests } from '#services/convert/request/first-request';
import { requireRevision } from '#services/convert/request/revision';
import type { ObjectsSizeRequest } from '#wire/gen/repository_pb';
import type { Handlers } from '../dependencies.ts';

/**
 * Limit of all revisions of a call. They are kept in memory, because older versions of git read
 * some of them only from the command line.
 */
const MAX_REVISION_BYTES = 64 << 20;

/** Returns the size on disk, in bytes, of all objects that revisions reach. */
export const objectsSize: Handlers['objectsSize'] = async (requests, context, deps) => {
  const { first, rest } = await openRequests(requests, 'receiving initial request: EOF');
  const repository = deps.storages.open(first.repository);
  const revisions = [...(await requireRevisions(first))];
  using held = new HeldBytes(MAX_REVISION_BYTES, 'revisions');
  for (const revision of revisions) held.add(revision);
  for await (const request of rest) {
    if (request.repository !== undefined)
      throw invalidArgument('subsequent requests must not contain repository');
    const more = await requireRevisions(request);
    for (const revision of more) {
      held.add(revision);
      revisions.push(revision);
    }
  }

  return { size: await diskUsage(repository, revisions, context.signal) };
};

async function requireRevisions({ revisions }: ObjectsSizeRequest): Promise<Buffer[]> {
  if (revisions.length === 0) throw invalidArgument('no revisions specified');
  return await mapInTurns(revisions, (revision) =>
    requireRevision(revision, { allowPseudo: true, prefix: 'validating revision: ' }),
  );
}
