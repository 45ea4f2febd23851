import { statSync } from 'node:fs';
import { GitalyError } from '#base/gitaly-error';
import { systemErrorCode } from '#base/system-error';
import type { ConfigPair } from '#git/command/config';
import type { AdvertisedRefsQuery } from '#git/refs/advertised-refs';
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
 * The references that a client may see as git would write them, a flush packet at the end, in pieces that must not be changed;
 * `undefined` where that takes git, also to say what is wrong with a repository.
 *
 * @param query what to say of them, by the repository's settings; `undefined` leaves it to git.
 * @throws {GitalyError} of an abort.
 */
export async function advertisedPackets(
  repository: Repository,
  { service, config, signal }: AdvertisedPacketsOptions,
  query: (settings: ReferenceSettings) => Query | undefined,
): Promise<Buffer[] | undefined> {
  try {
    if (!isOurs(repository)) return undefined;
    const settings = referenceSettings(repository, service, config);
    if (settings === undefined) return undefined;
    const asked = query(settings);
    return asked && (await repository.refs.advertise({ ...asked, hidden: settings.hidden }, { signal }));
  } catch (error) {
    if (signal.aborted || !(error instanceof GitalyError || systemErrorCode(error) !== undefined)) throw error;
    return undefined;
  }
}

/** Whether a repository and its settings are of a kind whose references can be listed without git. Each question may still need it. */
export function isAnswerable(
  repository: Repository,
  { service, config }: Pick<AdvertisedPacketsOptions, 'service' | 'config'>,
): boolean {
  try {
    return isOurs(repository) && referenceSettings(repository, service, config) !== undefined;
  } catch {
    return false; // git says what is wrong
  }
}

/** Git refuses repositories of other users. */
function isOurs({ path }: Repository): boolean {
  return statSync(path, { throwIfNoEntry: false })?.uid === process.geteuid?.();
}
