import type { ClientContext } from './client-context.ts';
import type { Timeouts } from './timeouts.ts';

/** Settings of the calls in one `GitalyClient.call`. */
export interface CallScope {
  /** A class of the configured timeouts, or seconds; 0 means no limit. Default `default`. */
  readonly timeout?: keyof Timeouts | number;
  /** Name of the calling code in the application. */
  readonly callSite?: string;
  /** A second storage that the server must reach, as for CreateFork. */
  readonly remoteStorage?: string;
  /**
   * Path of a repository near which the server should store that of the call, as for
   * ReplicateRepository.
   */
  readonly partitioningHint?: string;
  /** Entries in addition to those of the request; see `withContext`. */
  readonly clientContext?: ClientContext;
}
