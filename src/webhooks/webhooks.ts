import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ChangeFeed } from '#events/change-feed';
import { Deliveries } from './deliveries.ts';
import { DeliveryState } from './delivery-state.ts';
import { Sender } from './sender.ts';
import type { Webhook } from './webhook.ts';
import type { WebhookStatus } from './webhook-status.ts';

export interface WebhooksOptions {
  readonly feed: ChangeFeed;
  /** Called with the problems of our own disk. Failed deliveries are in the status. */
  readonly onProblem: (error: unknown) => void;
}

/** Sends the changes of repositories to webhooks. */
export class Webhooks implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack();
  readonly #statuses: (() => WebhookStatus)[] = [];

  constructor(webhooks: readonly Webhook[], { feed, onProblem }: WebhooksOptions) {
    for (const webhook of webhooks) {
      const sender = this.#resources.use(new Sender(webhook));
      for (const { directory, journal, storage } of feed.journals()) {
        if (webhook.storages.length > 0 && !webhook.storages.includes(storage)) continue;
        const state = new DeliveryState(join(directory, 'webhooks', fileName(webhook)), onProblem);
        const options = { journal, onProblem, sender, state, storage, webhook };
        const deliveries = this.#resources.use(new Deliveries(options));
        this.#statuses.push(() => ({
          name: webhook.name,
          storage,
          host: webhook.url.host,
          delivered: deliveries.counts.delivered,
          failed_attempts: deliveries.counts.failed,
          waiting: state.waiting.size,
          behind: journal.last - (state.cursor ?? journal.last),
          last_problem: deliveries.counts.lastProblem ?? '',
          dead_letters: state.deadLetters,
        }));
      }
    }
  }

  /** Returns the work of each webhook in each storage. */
  status(): WebhookStatus[] {
    return this.#statuses.map((status) => status());
  }

  /** Ends the deliveries. What was not delivered is delivered after the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** Names are case-sensitive, those of files are not everywhere. */
function fileName({ name }: Webhook): string {
  return `${createHash('sha256').update(name).digest('hex').slice(0, 32)}.json`;
}
