import { GitalyError, wrap } from '#base/gitaly-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import type { Repository as RepositoryMessage } from '#wire/gen/shared_pb';
import { remoteOptionsOf } from '../convert/remote-options.ts';
import { whyNotFound } from '../convert/revision.ts';
import type { OperationRooms } from './index.ts';

/** The commit that a change begins with. */
export interface Start {
  readonly oid: string;
  /** Where it can be read. */
  readonly repository: Repository;
}

export interface StartParts {
  readonly repository: Repository;
  /** Where the objects of another repository go. */
  readonly quarantine: Quarantine;
  /** Any revision of a commit. */
  readonly revision: Uint8Array;
  /** Where the revision is looked up; `undefined` for the repository itself. */
  readonly startRepository: RepositoryMessage | undefined;
}

/**
 * Finds the commit that a change begins with, and fetches it where it is another repository's.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `resolve start ref: reference not found`; `remote repository: …`, `fetch start: …`.
 */
export async function findStart(parts: StartParts, context: HandlerContext, rooms: OperationRooms): Promise<Start> {
  const { repository, quarantine, startRepository } = parts;
  const { signal } = context;
  const revision = Buffer.concat([parts.revision, Buffer.from('^{commit}')]);
  if (startRepository === undefined) {
    const commit = revision.includes(0) || revision[0] === 0x2d ? undefined : await repository.objects.info(revision, { signal });
    if (commit === undefined) throw notFound(whyNotFound(revision));
    return { oid: commit.oid, repository };
  }

  const remote = await rooms.remotes.open(startRepository, remoteOptionsOf(context));
  const oid = await remote.resolveCommit(revision).catch((error: unknown) => {
    throw wrap(error, 'resolve start ref');
  });
  if (oid === undefined) throw notFound('reference not found');
  if ((await repository.objects.info(`${oid}^{commit}`, { signal })) !== undefined) return { oid, repository };
  await remote.fetchInto(quarantine.repository, oid).catch((error: unknown) => {
    throw wrap(error, 'fetch start');
  });
  return { oid, repository: quarantine.repository };
}

function notFound(why: string): GitalyError {
  return new GitalyError('INVALID_ARGUMENT', `resolve start ref: ${why}`);
}
