import { randomUUID } from 'node:crypto';
import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { type Database, sql } from '../database/database.ts';
import type { ListenerHandler } from '../database/listener.ts';
import { type Hold, WritePauses, type WritePausesOptions } from './write-pauses.ts';

/** Channel that only our Praefects have. */
const CHANNEL = 'gitaly_ts_write_pauses';

/**
 * Announces pauses of writes to all Praefects of a database, by notifications. A Praefect that
 * misses them does not pause. When the announcing one is gone, the others continue at the end of
 * the pause's time.
 */
export class PostgresPauses implements ListenerHandler {
  readonly channels = [CHANNEL];
  readonly pauses: WritePauses;
  readonly #database: Database;
  readonly #logger: Logger;
  /** Distinguishes the notifications of this process from those of others. */
  readonly #process = randomUUID();
  /** Pauses of other Praefects, by their id. */
  readonly #holds = new Map<string, Hold>();

  constructor(database: Database, logger: Logger, limits: Omit<WritePausesOptions, 'announce'> = {}) {
    this.pauses = new WritePauses({ ...limits, announce: (key) => this.#announce(key) });
    this.#database = database;
    this.#logger = logger;
  }

  connected(): void {}

  /** Pauses end by themselves. */
  disconnected(): void {}

  /** @param payload `<process> <id> <key>` at the begin of a pause, `<process> <id>` at its end. */
  notified(_channel: string, payload: string): void {
    const [process, id = '', key] = payload.split(' ');
    if (process === this.#process) return;
    this.#holds.get(id)?.[Symbol.dispose]();
    if (key === undefined) return;
    const hold = this.pauses.hold(key);
    this.#holds.set(id, hold);
    void hold.ended.then(() => this.#holds.delete(id));
  }

  async #announce(key: string): Promise<AsyncDisposable> {
    const id = randomUUID();
    await this.#notify(`${this.#process} ${id} ${key}`);
    return {
      [Symbol.asyncDispose]: async () => {
        await this.#notify(`${this.#process} ${id}`).catch((error: unknown) => {
          this.#logger.error({ error: messageOf(error) }, 'the end of a pause of writes was not announced');
        });
      },
    };
  }

  async #notify(payload: string): Promise<void> {
    await this.#database.rows(sql`SELECT pg_notify(${CHANNEL}, ${payload})`);
  }
}
