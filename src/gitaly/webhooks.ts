import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ChangeFeed } from '#events/change-feed';
import type { GitalyConfig } from '#platform/config/load-config';
import { webhookKey } from '#platform/config/webhook-secret';
import type { Webhook } from '#webhooks/webhook';
import type { Webhooks } from '#webhooks/webhooks';

export interface StartWebhooksOptions {
  readonly feed: ChangeFeed;
  /** Called with the problems of our own disk. */
  readonly onProblem: (error: unknown) => void;
}

/** Starts the webhooks of a configuration. Without any, their code is not loaded. */
export async function startWebhooks(
  { webhook: tables }: Pick<GitalyConfig, 'webhook'>,
  { feed, onProblem }: StartWebhooksOptions,
): Promise<Webhooks | undefined> {
  if (tables.length === 0) return undefined;
  const [{ Webhooks }, { webhookOf }, { stateInFile }] = await Promise.all([
    import('#webhooks/webhooks'),
    import('#webhooks/webhook'),
    import('#webhooks/state-file'),
  ]);
  return Webhooks.start(
    tables.map((table) => webhookOf(table, webhookKey(table))),
    {
      storages: [...feed.journals()],
      stateOf: (webhook, { directory }) =>
        stateInFile(join(directory, 'webhooks', fileName(webhook)), onProblem),
      onProblem,
    },
  );
}

/** These names are case-sensitive; file names are not on all systems. */
function fileName({ name }: Webhook): string {
  return `${createHash('sha256').update(name).digest('hex').slice(0, 32)}.json`;
}
