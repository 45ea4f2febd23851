import type { ChangeFeed } from '#events/change-feed';
import type { GitalyConfig } from '#platform/config/load-config';
import { webhookKey } from '#platform/config/webhook-secret';
import type { Webhook } from '#webhooks/webhook';
import type { Webhooks } from '#webhooks/webhooks';

export interface StartWebhooksOptions {
  readonly feed: ChangeFeed;
  readonly onProblem: (error: unknown) => void;
}

/** Starts the webhooks of a configuration. Without any, their code is not loaded. */
export async function startWebhooks(
  { webhook: tables }: Pick<GitalyConfig, 'webhook'>,
  options: StartWebhooksOptions,
): Promise<Webhooks | undefined> {
  if (tables.length === 0) return undefined;
  const { Webhooks } = await import('#webhooks/webhooks');
  return new Webhooks(tables.map(webhookOf), options);
}

function webhookOf(table: GitalyConfig['webhook'][number]): Webhook {
  const key = webhookKey(table);
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
