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

/** A table `[[webhook]]` of a configuration. */
export interface WebhookTable {
  readonly name: string;
  readonly url: string;
  readonly storages: readonly string[];
  readonly pathPrefix: string;
  readonly referencePattern: string;
  readonly allowPrivateAddresses: boolean;
}

/** Returns the webhook of a table. @param key `undefined` if its secret has become unusable. */
export function webhookOf(table: WebhookTable, key: Buffer | undefined): Webhook {
  if (key === undefined) throw new Error(`the secret of the webhook ${table.name} has changed`);
  return {
    name: table.name,
    url: new URL(table.url),
    key,
    storages: table.storages,
    filter: {
      pathPrefix: table.pathPrefix,
      // References have one character per byte.
      referencePattern: Buffer.from(table.referencePattern).toString('latin1'),
    },
    mayBePrivate: table.allowPrivateAddresses,
  };
}
