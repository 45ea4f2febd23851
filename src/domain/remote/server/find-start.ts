import { type GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { commitIdOf, type SignalOption, whyNoCommit } from '#domain/revisions/commit-id-of';
import type { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import type { OpenRemote } from './remote-repository.ts';

/** The start commit of a change. */
export interface Start {
  readonly oid: string;
  /** Repository in which the commit can be read. */
  readonly repository: Repository;
}

export interface FindStartOptions {
  readonly repository: Repository;
  /** Receives the objects that are fetched from another repository. */
  readonly quarantine: Quarantine;
  /** Any revision of a commit. */
  readonly revision: Uint8Array;
  /** Opens the repository that has the revision; `undefined` for the repository itself. */
  readonly openRemote: OpenRemote | undefined;
}

/**
 * Finds the commit that a change begins with, and fetches it if only another repository has it.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `resolve start ref: reference not found`;
 *   `remote repository: …`, `fetch start: …`.
 */
export async function findStart(
  { repository, quarantine, revision, openRemote }: FindStartOptions,
  options: SignalOption,
): Promise<Start> {
  if (openRemote === undefined) {
    const oid = revision.includes(0) ? undefined : await commitIdOf(repository, revision, options);
    if (oid === undefined) throw notFound(whyNoCommit(revision));
    return { oid, repository };
  }

  const remote = await openRemote();
  const peeled = Buffer.concat([revision, Buffer.from('^{commit}')]);
  const oid = await remote.resolveCommit(peeled).catch(wrapped('resolve start ref'));
  if (oid === undefined) throw notFound('reference not found');
  if ((await commitIdOf(repository, oid, options)) !== undefined) return { oid, repository };
  await remote.fetchInto(quarantine.repository, oid).catch(wrapped('fetch start'));
  return { oid, repository: quarantine.repository };
}

function notFound(why: string): GitalyError {
  return invalidArgument(`resolve start ref: ${why}`);
}
