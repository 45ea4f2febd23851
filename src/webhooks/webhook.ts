import type { EventFilter } from '#events/event';

/** Where events are sent to, and which ones. */
export interface Webhook {
  readonly name: string;
  /** `http:` or `https:`, without credentials. */
  readonly url: URL;
  /** Key of the signatures. */
  readonly key: Buffer;
  /** Names of storages; empty for all. */
  readonly storages: readonly string[];
  readonly filter: EventFilter;
  /** Allows addresses of this machine and of private networks. */
  readonly mayBePrivate: boolean;
}
