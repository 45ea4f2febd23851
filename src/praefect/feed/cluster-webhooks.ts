import { setTimeout as delay } from 'node:timers/promises';
import { waitAtMost } from '#base/async/wait-at-most';
import { type DeliveryProgress, DeliveryState, readProgress } from '#webhooks/delivery-state';
import type { Webhook } from '#webhooks/webhook';
import type { WebhookStatus } from '#webhooks/webhook-status';
import { isSent, type StorageEvents, Webhooks, webhookStatus } from '#webhooks/webhooks';
import { type Database, sql } from '../database/database.ts';

export interface ClusterWebhooksOptions {
  readonly database: Database;
  readonly webhooks: readonly Webhook[];
  /** The feed of each virtual storage, including the events of other Praefects. */
  readonly storages: () => Promise<readonly StorageEvents[]>;
  /** Unique among all Praefects. */
  readonly owner: string;
  /** Called with the problems of the database. Failed deliveries are in the status. */
  readonly onProblem: (error: unknown) => void;
  /** Default: a lease of 15 s. */
  readonly times?: LeaseTimes;
}

export interface LeaseTimes {
  /** A Praefect that is killed is replaced after this time. */
  readonly leaseMs: number;
  /** Interval at which the holder renews the lease and other Praefects try to get it. */
  readonly lookMs: number;
  /** The sender stops this long before its lease ends, when another Praefect may start to send. */
  readonly marginMs: number;
}

const TIMES: LeaseTimes = { leaseMs: 15_000, lookMs: 2000, marginMs: 3000 };

interface StateRow {
  readonly storage: string;
  readonly name: string;
  readonly state: string;
}

/**
 * The webhooks of a cluster. One Praefect at a time sends: the one that holds the lease in the
 * database. The progress is in the database, too, so the next one continues there.
 */
export class ClusterWebhooks implements AsyncDisposable {
  readonly #options: ClusterWebhooksOptions;
  readonly #times: LeaseTimes;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  /** The deliveries of this Praefect, while it has the lease. */
  #sending: Webhooks | undefined;
  /** The state that the sender has written, for the console. */
  #statuses: readonly WebhookStatus[] = [];

  constructor(options: ClusterWebhooksOptions) {
    this.#options = options;
    this.#times = options.times ?? TIMES;
    this.#running = this.#run();
  }

  /**
   * Returns the state of each webhook. The state of a webhook of another Praefect is some seconds
   * old.
   */
  status(): WebhookStatus[] {
    return this.#sending?.status() ?? [...this.#statuses];
  }

  /** Ends the deliveries, and lets another Praefect continue them at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        const sinceMs = performance.now();
        if (await this.#acquire()) await this.#send(sinceMs);
        else await this.#look();
      } catch (error) {
        if (!signal.aborted) this.#options.onProblem(error);
      }
      await delay(this.#times.lookMs, undefined, { signal, ref: false }).catch(() => {}); // the loop ends
    }
  }

  /** Takes or renews the lease. @returns false if another Praefect has it. */
  async #acquire(): Promise<boolean> {
    const { database, owner } = this.#options;
    const changed = await database.run(sql`
      INSERT INTO gitalyts_feed_sender (is_only, owner, expires_at)
      VALUES (true, ${owner}, clock_timestamp() + ${this.#times.leaseMs} * interval '1 millisecond')
      ON CONFLICT (is_only) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
      WHERE gitalyts_feed_sender.owner = excluded.owner
        OR gitalyts_feed_sender.expires_at < clock_timestamp()`);
    return changed > 0;
  }

  /** Sends until the lease is lost or the server ends. @param sinceMs time of the acquisition. */
  async #send(sinceMs: number): Promise<void> {
    const { signal } = this.#ending;
    const { leaseMs, lookMs, marginMs } = this.#times;
    const sending = await this.#startSending();
    this.#sending = sending;
    try {
      let isOurs = true;
      for (let endMs = sinceMs + leaseMs - marginMs; isOurs && !signal.aborted; ) {
        await delay(lookMs, undefined, { signal, ref: false }).catch(() => {}); // the loop ends
        const renewedMs = performance.now();
        const renewal = signal.aborted ? true : await this.#renewed(endMs - renewedMs);
        if (renewal === true) endMs = renewedMs + leaseMs - marginMs;
        isOurs = renewal !== false && performance.now() < endMs;
      }
    } finally {
      this.#sending = undefined;
      this.#statuses = sending.status();
      await sending[Symbol.asyncDispose]();
    }
    if (signal.aborted) await this.#release();
  }

  /** Renews the lease. @returns `undefined` if the database does not respond within a time. */
  async #renewed(limitMs: number): Promise<boolean | undefined> {
    const renewal = this.#acquire().catch(() => undefined);
    return await waitAtMost(renewal, Math.max(0, limitMs));
  }

  async #startSending(): Promise<Webhooks> {
    const { onProblem, storages, webhooks } = this.#options;
    // Read before the feed, which then contains all events that another Praefect has sent.
    const rows = await this.#rows();
    const states = new Map(rows.map(({ name, state, storage }) => [webhookKey(name, storage), state]));
    return Webhooks.start(webhooks, {
      storages: await storages(),
      stateOf: ({ name }, { storage }) =>
        new DeliveryState({
          text: states.get(webhookKey(name, storage)),
          write: (text) => this.#write(name, storage, text),
          onProblem,
        }),
      onProblem,
    });
  }

  /** Stores the progress, unless another Praefect has become the sender. */
  async #write(name: string, storage: string, text: string): Promise<void> {
    const { database, owner } = this.#options;
    await database.run(sql`
      INSERT INTO gitalyts_feed_webhooks (virtual_storage, name, state)
      SELECT ${storage}, ${name}, ${text} FROM gitalyts_feed_sender WHERE owner = ${owner}
      ON CONFLICT (virtual_storage, name) DO UPDATE SET state = excluded.state`);
  }

  async #release(): Promise<void> {
    const { database, owner } = this.#options;
    await database.run(sql`DELETE FROM gitalyts_feed_sender WHERE owner = ${owner}`);
  }

  async #rows(): Promise<StateRow[]> {
    return await this.#options.database.rows(sql<StateRow>`
      SELECT virtual_storage AS storage, name, state FROM gitalyts_feed_webhooks`);
  }

  /** Reads the state that the current sender has written. */
  async #look(): Promise<void> {
    const { storages, webhooks } = this.#options;
    const states = new Map<string, DeliveryProgress>();
    for (const { name, state, storage } of await this.#rows())
      states.set(webhookKey(name, storage), readProgress(state));
    const all = await storages();
    this.#statuses = webhooks.flatMap((webhook) =>
      all
        .filter(({ storage }) => isSent(webhook, storage))
        .map(({ journal, storage }) =>
          webhookStatus(
            webhook,
            { storage, last: journal.last },
            states.get(webhookKey(webhook.name, storage)) ?? readProgress(undefined),
          ),
        ),
    );
  }
}

function webhookKey(name: string, storage: string): string {
  return JSON.stringify([name, storage]);
}
