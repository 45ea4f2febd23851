import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createLogger } from '#platform/log/logger';
import {
  startPostgres,
  type TestDatabase,
  withoutOwnPostgres,
  withoutPostgres,
} from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { sql } from '../database/database.ts';
import { combinedHandler, DatabaseListener } from '../database/listener.ts';
import { PostgresPauses } from './postgres-pauses.ts';
import type { WritePauses } from './write-pauses.ts';

const repository = { virtualStorage: 'default', relativePath: 'a.git' };
const NEVER = new AbortController().signal;
/** Longer than a test. */
const LONG_MS = 600_000;
const logger = createLogger({ format: 'json', level: 'info', stream: { write: () => {} } });

/** One of the Praefects of a database. */
async function startPauses({ config, database }: TestDatabase, limitMs: number) {
  const handler = new PostgresPauses(database, logger, { limitMs, runningLimitMs: 1 });
  let isConnected = false;
  const listener = new DatabaseListener({
    settings: {
      host: config.host,
      user: config.user,
      database: config.dbname,
      ssl: false,
      mayFallBack: false,
    },
    handler: combinedHandler([handler]),
    logger,
    count: () => {
      isConnected = true;
    },
  });
  await until(() => isConnected, 'it listens');
  return {
    pauses: handler.pauses,
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

/** Begins writes until one is held back. Returns that one. */
async function heldWrite(pauses: WritePauses): Promise<{ readonly write: Promise<Disposable> }> {
  let held: Promise<Disposable> | undefined;
  await until(async () => {
    let isBegun = false;
    const write = pauses.write(repository, NEVER).then((begun) => {
      isBegun = true;
      return begun;
    });
    await turn();
    if (!isBegun) held = write;
    return held !== undefined;
  }, 'a write is held back');
  if (held === undefined) throw new Error('unreachable');
  return { write: held };
}

test('a pause holds back the writes of other Praefects', { skip: withoutPostgres }, async () => {
  await using postgres = await startPostgres();
  await using one = await startPauses(postgres, LONG_MS);
  await using two = await startPauses(postgres, LONG_MS);

  const pause = await one.pauses.pause(repository);
  const { write } = await heldWrite(two.pauses);
  using _other = await two.pauses.write({ ...repository, relativePath: 'b.git' }, NEVER);
  await pause[Symbol.asyncDispose]();

  using _write = await write;
  // Its own notifications have come back by now, and hold back nothing.
  using _own = await one.pauses.write(repository, NEVER);
});

test('writes go on when the Praefect that has paused them is gone', { skip: withoutPostgres }, async () => {
  await using postgres = await startPostgres();
  await using two = await startPauses(postgres, 300);
  // No Praefect sends such a notification.
  await postgres.database.rows(sql`SELECT pg_notify('gitaly_ts_write_pauses', '')`);
  const gone = new PostgresPauses(postgres.database, logger, { limitMs: LONG_MS, runningLimitMs: 1 });
  await gone.pauses.pause(repository);

  const { write } = await heldWrite(two.pauses);
  using _write = await write;
  using _next = await two.pauses.write(repository, NEVER);
});

test('a pause fails when the database cannot announce it', { skip: withoutOwnPostgres }, async () => {
  await using postgres = await startPostgres();
  const { pauses } = new PostgresPauses(postgres.database, logger, { limitMs: LONG_MS });
  const pause = await pauses.pause(repository);
  await postgres.stop();

  await pause[Symbol.asyncDispose]();
  await assert.rejects(pauses.pause(repository));
  using _write = await pauses.write(repository, NEVER);
});
