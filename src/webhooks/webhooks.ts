import { abortable } from '#base/async/abortable';
import { Deliveries, type DeliverySource } from './deliveries.ts';
import type { DeliveryProgress, DeliveryState } from './delivery-state.ts';
import { WebhookSender } from './sender.ts';
import type { Webhook } from './webhook.ts';
import type { WebhookStatus } from './webhook-status.ts';

export interface StorageEvents {
  readonly storage: string;
  readonly journal: DeliverySource;
  /** Nothing is delivered before: another process of this server still does. Default: none. */
  readonly takenOver?: Promise<void> | undefined;
}

export interface WebhooksOptions<Events extends StorageEvents> {
  readonly storages: readonly Events[];
  /** Returns the kept progress of a webhook in a storage. */
  readonly stateOf: (webhook: Webhook, events: Events) => DeliveryState;
  /** Called with problems of our own. Failed deliveries are in the status. */
  readonly onProblem: (error: unknown) => void;
}

/** Sends the changes of repositories to webhooks. */
export class Webhooks implements AsyncDisposable {
  readonly #senders = new DisposableStack();
  readonly #deliveries: Deliveries[] = [];
  readonly #statuses: (() => WebhookStatus)[] = [];
  readonly #ending = new AbortController();
  readonly #starting: Promise<void>[] = [];

  private constructor() {}

  /** Starts the deliveries. */
  static start<Events extends StorageEvents>(
    webhooks: readonly Webhook[],
    { onProblem, stateOf, storages }: WebhooksOptions<Events>,
  ): Webhooks {
    const started = new Webhooks();
    for (const webhook of webhooks) {
      const sender = started.#senders.use(new WebhookSender(webhook));
      for (const events of storages.filter(({ storage }) => isSent(webhook, storage))) {
        const { journal, storage, takenOver } = events;
        const { last } = journal; // a new webhook gets what follows
        let own: DeliveryState | undefined;
        const deliver = (): void => {
          const state = stateOf(webhook, events);
          own = state;
          state.cursor ??= last;
          started.#deliveries.push(new Deliveries({ journal, onProblem, sender, state, storage, webhook }));
        };
        if (takenOver === undefined) deliver();
        else started.#starting.push(abortable(takenOver, started.#ending.signal).then(deliver, () => {}));
        const status = (): WebhookStatus =>
          // Until then, the process before writes the state.
          webhookStatus(webhook, { storage, last: journal.last }, own ?? stateOf(webhook, events));
        started.#statuses.push(status);
      }
    }
    return started;
  }

  /** Returns the work of each webhook in each storage. */
  status(): WebhookStatus[] {
    return this.#statuses.map((status) => status());
  }

  /**
   * Ends all deliveries at once, and keeps the progress. What was not delivered is delivered after
   * the next start.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    using _ = this.#senders;
    this.#ending.abort();
    await Promise.all(this.#starting);
    await Promise.all(this.#deliveries.map((each) => each[Symbol.asyncDispose]()));
  }
}

/** Reports whether a webhook gets the events of a storage. */
export function isSent({ storages }: Webhook, storage: string): boolean {
  return storages.length === 0 || storages.includes(storage);
}

/** Describes the progress of a webhook in a storage. @param events.last sequence of its last event. */
export function webhookStatus(
  { name, url }: Webhook,
  { last, storage }: { readonly storage: string; readonly last: number },
  { counts, cursor = last, deadLetters, waiting }: DeliveryProgress,
): WebhookStatus {
  return {
    name,
    storage,
    host: url.host,
    delivered: counts.delivered,
    failed_attempts: counts.failed,
    waiting: waiting.size,
    behind: Math.max(0, last - cursor),
    last_problem: counts.lastProblem ?? '',
    dead_letters: deadLetters,
  };
}
