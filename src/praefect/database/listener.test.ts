import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineLogger } from '#testkit/line-logger';
import {
  withoutOwnPostgres as skip,
  startPostgres,
  type TestDatabase,
} from '#testkit/servers/start-postgres';
import { never, until } from '#testkit/until';
import { type Database, sql } from './database.ts';
import { combinedHandler, DatabaseListener, type ListenerHandler } from './listener.ts';

/** Returns a handler that records its calls. */
function notingHandler(events: string[], ...channels: string[]): ListenerHandler {
  return {
    channels,
    connected: () => void events.push('connected'),
    disconnected: () => void events.push('disconnected'),
    notified: (channel, payload) => void events.push(`${channel}: ${payload}`),
  };
}

function listen({ config }: TestDatabase, options: { readonly retryMs?: number } = {}) {
  const events: string[] = [];
  const counted: string[] = [];
  const { lines, logger } = lineLogger();
  const { dbname: database, host, user } = config;
  const listener = new DatabaseListener({
    settings: { host, user, database, ssl: false, mayFallBack: false },
    handler: notingHandler(events, 'news', 'Other "channel"'),
    logger,
    count: (state) => void counted.push(state),
    retryMs: 20,
    ...options,
  });
  return { counted, events, lines, listener, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}

const OF_LISTENER = sql`FROM pg_stat_activity
  WHERE pid <> pg_backend_pid() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')`;

async function queriesOfListener(database: Database): Promise<string[]> {
  const rows = await database.rows(sql<{ query: string }>`SELECT query ${OF_LISTENER}`);
  return rows.map(({ query }) => query);
}

test('notifications of all channels are received', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  await using listening = listen(postgres);
  const { counted, events } = listening;
  await until(() => events.length > 0);

  await postgres.database.run(sql`SELECT pg_notify('news', 'one'), pg_notify('unknown', 'two')`);
  await postgres.database.run(sql`SELECT pg_notify('Other "channel"', '')`);

  await until(() => events.length === 3);
  assert.deepEqual(events, ['connected', 'news: one', 'Other "channel": ']);
  assert.deepEqual(counted, ['connected']);
});

test('a lost connection is reported, and made again', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  await using listening = listen(postgres);
  const { counted, events, lines } = listening;
  await until(() => events.length === 1);

  await postgres.database.run(sql`SELECT pg_terminate_backend(pid) ${OF_LISTENER}`);
  await until(() => events.length === 3);
  await postgres.database.run(sql`SELECT pg_notify('news', 'later')`);

  await until(() => events.length === 4);
  assert.deepEqual(events, ['connected', 'disconnected', 'connected', 'news: later']);
  assert.deepEqual(counted, ['connected', 'disconnected', 'connected']);
  assert.equal(lines.length, 1);
  assert.partialDeepStrictEqual(lines[0], {
    level: 'error',
    msg: 'listening was interrupted',
    error: 'terminating connection due to administrator command',
    channels: ['news', 'Other "channel"'],
  });
});

test('a server that is away is tried again after a while', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  await postgres.stop();
  await using listening = listen(postgres);
  const { counted, events, lines } = listening;
  await until(() => lines.length > 1);
  assert.deepEqual([counted, events], [[], []]);

  await postgres.restart();

  await until(() => events.length === 1);
});

test('a listener that waits for the next attempt ends at once', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  await postgres.stop();
  const { lines, listener } = listen(postgres, { retryMs: 3_600_000 });
  await until(() => lines.length === 1);
  await never(() => lines.length > 1);

  await listener[Symbol.asyncDispose]();
});

test('the end of a listener closes its connection, without an error', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const { counted, events, lines, listener } = listen(postgres);
  await until(() => events.length === 1);
  assert.equal((await queriesOfListener(postgres.database)).length, 1);

  await listener[Symbol.asyncDispose]();

  assert.deepEqual(events, ['connected', 'disconnected']);
  assert.deepEqual(counted, ['connected', 'disconnected']);
  assert.deepEqual(lines, []);
  await until(async () => (await queriesOfListener(postgres.database)).length === 0);
});

test('a listener that ends while it connects closes its connection', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const { counted, events, lines, listener } = listen(postgres);

  await listener[Symbol.asyncDispose]();

  assert.deepEqual([counted, events, lines], [[], [], []]);
  await until(async () => (await queriesOfListener(postgres.database)).length === 0);
});

test('a quiet connection is probed', { skip }, async (context) => {
  await using postgres = await startPostgres({ isMigrated: false });
  context.mock.timers.enable({ apis: ['setInterval'] });
  await using listening = listen(postgres);
  await until(() => listening.events.length === 1);

  context.mock.timers.tick(15_000);

  await until(async () => (await queriesOfListener(postgres.database)).includes('SELECT 1'));
  assert.deepEqual(listening.events, ['connected']);
});

test('handlers of one connection get the notifications of their own channels', () => {
  const [first, second]: [string[], string[]] = [[], []];
  const handler = combinedHandler([notingHandler(first, 'a', 'b'), notingHandler(second, 'c')]);

  handler.connected();
  handler.notified('b', '1');
  handler.notified('c', '2');
  handler.notified('d', '3');
  handler.disconnected();

  assert.deepEqual(handler.channels, ['a', 'b', 'c']);
  assert.deepEqual(first, ['connected', 'b: 1', 'disconnected']);
  assert.deepEqual(second, ['connected', 'c: 2', 'disconnected']);
});
