import { randomUUID } from 'node:crypto';
import { webhookKey } from '#platform/config/webhook-secret';
import { webhookOf } from '#webhooks/webhook';
import type { PraefectConfig } from '../config/schema.ts';
import type { Database } from '../database/database.ts';
import type { ClusterFeed } from './cluster-feed.ts';
import { ClusterWebhooks } from './cluster-webhooks.ts';

export interface StartWebhooksOptions {
  readonly database: Database;
  readonly feed: ClusterFeed;
  /** Called with the problems of the database. */
  readonly onProblem: (error: unknown) => void;
}

export function startWebhooks(
  tables: PraefectConfig['webhook'],
  { database, feed, onProblem }: StartWebhooksOptions,
): ClusterWebhooks {
  return new ClusterWebhooks({
    database,
    webhooks: tables.map((table) => webhookOf(table, webhookKey(table))),
    storages: () => feed.journals(),
    // A process and the one that replaces it have the same name.
    owner: randomUUID(),
    onProblem,
  });
}
