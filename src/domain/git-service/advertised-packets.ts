import { statSync } from 'node:fs';
import { GitalyError } from '#base/gitaly-error';
import type { ConfigPair } from '#git/command/config';
import { FallBackToGit } from '#git/command/in-process';
import type { AdvertisedRefsQuery } from '#git/refs/list/advertised-refs';
import type { Repository } from '#storage/repository';
import { type AdvertisingService, type ReferenceSettings, referenceSettings } from './reference-settings.ts';

export interface AdvertisedPacketsOptions {
  readonly service: AdvertisingService;
  /** Settings of the request. */
  readonly config: readonly ConfigPair[];
  readonly signal: AbortSignal;
}

type Query = Omit<AdvertisedRefsQuery, 'hidden'>;

/**
 * Returns the references that a client may see as git would write them, including a flush packet,
 * in pieces that must not be changed; `undefined` if the caller must start git, which also reports
 * problems of a repository.
 *
 * @param query references to list, by the repository's settings; `undefined` falls back to git.
 * @throws {GitalyError} of an abort.
 */
export async function advertisedPackets(
  repository: Repository,
  options: AdvertisedPacketsOptions,
  query: (settings: ReferenceSettings) => Query | undefined,
): Promise<Buffer[] | undefined> {
  const { service, signal } = options;
  return await repository.inProcess.attempt<Buffer[] | undefined>(
    service === 'upload-pack' ? 'ls_refs' : 'push_refs',
    async () => {
      const settings = requirePlainSettings(repository, options);
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
export function isListable(
  repository: Repository,
  options: Pick<AdvertisedPacketsOptions, 'service' | 'config'>,
): boolean {
  const require = (): boolean => requirePlainSettings(repository, options) !== undefined;
  return repository.inProcess.attemptNow('conversation', require, () => false);
}

/**
 * Returns the settings of a repository that git can serve without surprises.
 *
 * @throws {FallBackToGit} for a repository of another user, and for unknown settings.
 */
export function requirePlainSettings(
  repository: Repository,
  { service, config }: Pick<AdvertisedPacketsOptions, 'service' | 'config'>,
): ReferenceSettings {
  // git refuses repositories of other users.
  if (statSync(repository.path, { throwIfNoEntry: false })?.uid !== process.geteuid?.())
    throw new FallBackToGit('the repository belongs to another user');
  const settings = settingsOf();
  if (settings === undefined) throw new FallBackToGit('a setting may change the list');
  return settings;

  function settingsOf(): ReferenceSettings | undefined {
    try {
      return referenceSettings(repository, service, config);
    } catch (error) {
      if (!(error instanceof GitalyError)) throw error;
      throw new FallBackToGit('the config file cannot be read', { cause: error });
    }
  }
}
