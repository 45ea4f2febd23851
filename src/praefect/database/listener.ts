import { addAbortListener } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { ConnectionSettings } from './connection-settings.ts';
import { closeClient, connectClient } from './limited-client.ts';

const RETRY_MS = 5000;
/** How often a query shows that the connection still lives. A dead peer sends nothing. */
const PROBE_INTERVAL_MS = 15_000;

export interface ListenerHandler {
  /** Channels whose notifications are received. */
  readonly channels: readonly string[];
  /** Called when all channels are listened to. */
  connected(): void;
  /** Called when notifications may have been missed, once for each `connected`. */
  disconnected(): void;
  notified(channel: string, payload: string): void;
}

/** Combines handlers of different channels, for one connection. */
export function combinedHandler(handlers: readonly ListenerHandler[]): ListenerHandler {
  return {
    channels: handlers.flatMap(({ channels }) => channels),
    connected: () => {
      for (const handler of handlers) handler.connected();
    },
    disconnected: () => {
      for (const handler of handlers) handler.disconnected();
    },
    notified: (channel, payload) =>
      handlers.find(({ channels }) => channels.includes(channel))?.notified(channel, payload),
  };
}

export interface DatabaseListenerOptions {
  readonly settings: ConnectionSettings;
  readonly handler: ListenerHandler;
  readonly logger: Logger;
  /** Counts connections that were made and lost. */
  readonly count: (state: 'connected' | 'disconnected') => void;
  /** Time between attempts to connect. Default: 5 s. */
  readonly retryMs?: number;
}

/** Receives notifications on a separate connection, and connects again whenever it is lost. */
export class DatabaseListener implements AsyncDisposable {
  readonly #options: DatabaseListenerOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: DatabaseListenerOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { handler, logger, retryMs = RETRY_MS } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#listen(signal);
      } catch (error) {
        if (!signal.aborted)
          logger.error({ error: messageOf(error), channels: handler.channels }, 'listening was interrupted');
      }
      await delay(retryMs, undefined, { signal }).catch(() => {}); // the loop ends
    }
  }

  /** Listens until the connection is lost. */
  async #listen(signal: AbortSignal): Promise<void> {
    const { count, handler, settings } = this.#options;
    const client = await connectClient(settings);
    const lost = Promise.withResolvers<never>();
    lost.promise.catch(() => {}); // also observed below
    client.on('error', lost.reject);
    client.on('end', () => lost.reject(new Error('the connection was closed')));
    client.on('notification', ({ channel, payload = '' }) => handler.notified(channel, payload));
    using _stop = addAbortListener(signal, () => lost.reject(new Error('stopped')));
    try {
      if (signal.aborted) return;
      for (const channel of handler.channels)
        await Promise.race([client.query(`LISTEN ${client.escapeIdentifier(channel)}`), lost.promise]);
      count('connected');
      handler.connected();
      const probe = (): void => void client.query('SELECT 1').catch(lost.reject);
      using _probing = setInterval(probe, PROBE_INTERVAL_MS).unref();
      try {
        await lost.promise;
      } finally {
        count('disconnected');
        handler.disconnected();
      }
    } finally {
      await closeClient(client);
    }
  }
}
