import type { ConfigPair } from '#git/command/config';
import { FallBackToGit } from '#git/command/in-process';
import type { AdvertisedRefsQuery } from '#git/refs/list/advertised-refs';
import type { Repository } from '#storage/repository';
import { type ReferenceSettings, requireReferenceSettings } from './reference-settings.ts';

export interface AdvertisedPacketsOptions {
  /** Settings of the request. */
  readonly config: readonly ConfigPair[];
  readonly signal: AbortSignal;
}

type Query = Omit<AdvertisedRefsQuery, 'hidden'>;

/**
 * Returns the references that a client may fetch as git would write them, including a flush packet,
 * in pieces that must not be changed; `undefined` if the caller must start git, which also reports
 * problems of a repository.
 *
 * @param query references to list, by the repository's settings; `undefined` falls back to git.
 * @throws {GitalyError} of an abort.
 */
export async function advertisedPackets(
  repository: Repository,
  { config, signal }: AdvertisedPacketsOptions,
  query: (settings: ReferenceSettings) => Query | undefined,
): Promise<Buffer[] | undefined> {
  return await repository.inProcess.attempt<Buffer[] | undefined>(
    'ls_refs',
    async () => {
      const settings = requireReferenceSettings(repository, 'upload-pack', config);
      const asked = query(settings);
      if (asked === undefined) throw new FallBackToGit('the client names another object format');
      return await repository.refs.advertise({ ...asked, hidden: settings.hidden }, { signal });
    },
    () => undefined,
  );
}

/**
 * Reports whether the references of a repository can be listed without git, by its settings. Each
 * list may still need it.
 */
export function isListable(repository: Repository, config: readonly ConfigPair[]): boolean {
  const require = (): boolean => requireReferenceSettings(repository, 'upload-pack', config) !== undefined;
  return repository.inProcess.attemptNow('conversation', require, () => false);
}
