import type { Commit } from '#client/repository/index';
import type { PlainVisit } from './repository-visit.ts';

/** Matches upstreams of branches, for which git fails: no remote is configured. */
const UPSTREAM = /@\{[up]/i;

/** Finds the commit at a revision that a reader has chosen. @returns `undefined` if there is none. */
export async function findChosen(
  { calls, repository }: Pick<PlainVisit, 'calls' | 'repository'>,
  revision: string | Buffer,
): Promise<Commit | undefined> {
  return UPSTREAM.test(revision.toString()) ? undefined : await repository.findCommit(revision, calls);
}
