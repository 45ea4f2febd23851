import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestFeed } from '#testkit/feed/feed-database';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { never, until } from '#testkit/until';
import type { Webhook } from '#webhooks/webhook';
import { type Database, sql } from '../database/database.ts';
import { ClusterWebhooks, type ClusterWebhooksOptions } from './cluster-webhooks.ts';

const skip = withoutPostgres;
const TIMES = { leaseMs: 60_000, lookMs: 20, marginMs: 10_000 };

const databaseOf = databaseOfFile();

const emptyDatabase = (): Promise<Database> => createTestFeed(databaseOf());

const webhook = (name: string, storages: readonly string[] = []): Webhook => ({
  ...{ name, storages, key: Buffer.alloc(32), mayBePrivate: true },
  url: new URL(`http://${name}.example/hook`),
  filter: { pathPrefix: '', referencePattern: '' },
});

/** A journal without events, whose number of events a test sets. */
const journal = (last: number) => ({
  ...{ last, oldest: 0, news: new Promise<void>(() => {}) },
  async *read() {},
});

function start(database: Database, options: Partial<ClusterWebhooksOptions> = {}) {
  const problems: unknown[] = [];
  const storages = [
    { storage: 'default', journal: journal(10) },
    { storage: 'other', journal: journal(20) },
  ] as const;
  const webhooks = new ClusterWebhooks({
    ...{ database, owner: 'us', times: TIMES, webhooks: [webhook('ci')] },
    storages: async () => storages,
    onProblem: (error) => void problems.push(error),
    ...options,
  });
  /**
   * Reports whether this Praefect sends: otherwise, its status does not follow the number of
   * events.
   */
  const isSending = (): boolean => {
    const before = webhooks.status()[0]?.behind ?? 0;
    storages[0].journal.last++;
    return webhooks.status()[0]?.behind === before + 1;
  };
  return { webhooks, problems, isSending, [Symbol.asyncDispose]: () => webhooks[Symbol.asyncDispose]() };
}

/** Gives the lease to a Praefect. */
async function lend(database: Database, owner: string, seconds: number): Promise<void> {
  await database.run(sql`INSERT INTO gitalyts_feed_sender
    VALUES (true, ${owner}, clock_timestamp() + make_interval(secs => ${seconds}))
    ON CONFLICT (is_only) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at`);
}

/** Waits until the sender has renewed its lease. */
async function renewal(database: Database): Promise<void> {
  await lend(database, 'us', 1);
  await until(async () => {
    const row = await database.row(sql`SELECT FROM gitalyts_feed_sender
      WHERE expires_at > clock_timestamp() + interval '30 seconds'`);
    return row !== undefined;
  });
}

async function ownerIn(database: Database): Promise<string | undefined> {
  const row = await database.row(sql<{ owner: string }>`SELECT owner FROM gitalyts_feed_sender`);
  return row?.owner;
}

/** Keeps the state of a webhook, as a sender does. @param cursor also the number of delivered events. */
async function keep(database: Database, storage: string, name: string, cursor: number): Promise<void> {
  const deadLetters = [{ id: `${storage} ${name}`, repository: '', reason: '', time: '' }];
  const state = { cursor, waiting: [], deadLetters, counts: { delivered: cursor, failed: 0 } };
  await database.run(sql`INSERT INTO gitalyts_feed_webhooks
    VALUES (${storage}, ${name}, ${JSON.stringify(state)})
    ON CONFLICT (virtual_storage, name) DO UPDATE SET state = excluded.state`);
}

const deliveredOf = (webhooks: ClusterWebhooks) => webhooks.status().map(({ delivered }) => delivered);

test('a praefect without the lease shows what the sender has written', { skip }, async () => {
  const database = await emptyDatabase();
  await lend(database, 'them', 3600);
  await keep(database, 'default', 'ci', 4);
  await keep(database, 'other', 'ci', 5);
  await keep(database, 'default', 'chat', 6);
  await using started = start(database, { webhooks: [webhook('ci'), webhook('chat', ['default', 'x'])] });
  const { isSending, webhooks } = started;
  assert.deepEqual(webhooks.status(), [], 'nothing is known');

  await until(() => webhooks.status().length > 0);

  const shown = webhooks
    .status()
    .map(({ behind, dead_letters: [letter], delivered, host, name, storage }) => ({
      ...{ name, storage, host, delivered, behind, letter: letter?.id },
    }));
  const ofCi = { name: 'ci', host: 'ci.example' };
  const ofChat = { name: 'chat', host: 'chat.example' };
  assert.deepEqual(shown, [
    { ...ofCi, storage: 'default', delivered: 4, behind: 6, letter: 'default ci' },
    { ...ofCi, storage: 'other', delivered: 5, behind: 15, letter: 'other ci' },
    { ...ofChat, storage: 'default', delivered: 6, behind: 4, letter: 'default chat' },
  ]);
  assert.equal(isSending(), false);
  await keep(database, 'other', 'ci', 7);
  await until(() => deliveredOf(webhooks)[1] === 7);
  assert.equal(await ownerIn(database), 'them');
});

test('of a webhook without a state nothing was delivered', { skip }, async () => {
  const database = await emptyDatabase();
  await lend(database, 'them', 3600);
  await using started = start(database);

  await until(() => started.webhooks.status().length > 0);

  const [status] = started.webhooks.status();
  assert.deepEqual([status?.delivered, status?.behind, status?.dead_letters], [0, 0, []]);
});

test('the sender continues where the one before has ended, whose lease is over', { skip }, async () => {
  const database = await emptyDatabase();
  await lend(database, 'them', -1);
  await keep(database, 'default', 'ci', 4);
  await keep(database, 'other', 'ci', 5);
  await using started = start(database);
  const { isSending, webhooks } = started;

  await until(isSending);

  assert.equal(await ownerIn(database), 'us');
  assert.deepEqual(
    webhooks.status().map(({ dead_letters: [letter] }) => letter?.id),
    ['default ci', 'other ci'],
  );
});

test('a sender that has lost its lease stops, and writes nothing any more', { skip }, async () => {
  const database = await emptyDatabase();
  await using started = start(database);
  const { isSending, webhooks } = started;
  await until(isSending);

  await lend(database, 'them', 3600);
  await keep(database, 'default', 'ci', 77);

  await until(() => deliveredOf(webhooks)[0] === 77);
  assert.equal(isSending(), false);
  assert.equal(await ownerIn(database), 'them');
  await webhooks[Symbol.asyncDispose]();
  assert.equal(await ownerIn(database), 'them', 'it releases only its own');
});

test('a sender renews its lease, and goes on while the database fails', { skip }, async () => {
  const database = await emptyDatabase();
  await using started = start(database);
  const { isSending, problems } = started;
  await until(isSending);
  await renewal(database);

  await database.run(sql`ALTER TABLE gitalyts_feed_sender RENAME TO gitalyts_feed_gone`);
  await never(() => !isSending(), 'it stops', 200);
  await database.run(sql`ALTER TABLE gitalyts_feed_gone RENAME TO gitalyts_feed_sender`);

  await renewal(database);
  assert.equal(isSending(), true);
  assert.deepEqual(problems, []);
});

test('a renewed lease lasts longer than the first one', { skip }, async (context) => {
  const now = performance.now.bind(performance);
  let passedMs = 0;
  context.mock.method(performance, 'now', () => now() + passedMs);
  const database = await emptyDatabase();
  let starts = 0;
  const storages = async () => {
    starts++;
    return [{ storage: 'default', journal: journal(10) }];
  };
  await using _ = start(database, { storages });
  await until(() => starts === 1);

  for (let renewals = 0; renewals < 5; renewals++) {
    passedMs += TIMES.leaseMs / 2;
    await renewal(database);
  }

  assert.equal(starts, 1, 'the sender has not stopped meanwhile');
});

test('a sender that cannot renew its lease stops before the lease ends', { skip }, async () => {
  const database = await emptyDatabase();
  await using started = start(database, { times: { leaseMs: 4000, lookMs: 20, marginMs: 3000 } });
  const { isSending } = started;
  await until(isSending);

  await database.transaction(async (executor) => {
    await sql`LOCK TABLE gitalyts_feed_sender IN ACCESS EXCLUSIVE MODE`.execute(executor);
    await until(() => !isSending());
    const { rows } = await sql`SELECT FROM gitalyts_feed_sender WHERE expires_at > clock_timestamp()`.execute(
      executor,
    );
    assert.equal(rows.length, 1, 'the lease has not ended');
  });
  await until(isSending, 'it sends again');
});

test('a sender that ends writes its state and releases the lease', { skip }, async () => {
  const database = await emptyDatabase();
  const { isSending, problems, webhooks } = start(database);
  await until(isSending);

  await webhooks[Symbol.asyncDispose]();

  assert.equal(await ownerIn(database), undefined);
  const rows = await database.rows(sql<{ storage: string; name: string; state: string }>`
    SELECT virtual_storage AS storage, name, state FROM gitalyts_feed_webhooks ORDER BY storage`);
  assert.deepEqual(
    rows.map(({ name, storage }) => [name, storage]),
    [
      ['ci', 'default'],
      ['ci', 'other'],
    ],
  );
  assert.equal((JSON.parse(rows[1]?.state ?? '') as { cursor: number }).cursor, 20);
  assert.deepEqual(problems, []);
  assert.equal(webhooks.status().length, 2, 'the last state remains');
});

test('problems of the database are reported, and do not end the looks', { skip }, async () => {
  const database = await emptyDatabase();
  await lend(database, 'them', 3600);
  await keep(database, 'default', 'ci', 4);
  await database.run(sql`ALTER TABLE gitalyts_feed_webhooks RENAME TO gitalyts_feed_gone`);
  await using started = start(database);
  const { problems, webhooks } = started;

  await until(() => problems.length > 0);
  assert.match(String(problems[0]), /gitalyts_feed_webhooks/);
  await database.run(sql`ALTER TABLE gitalyts_feed_gone RENAME TO gitalyts_feed_webhooks`);

  await until(() => deliveredOf(webhooks)[0] === 4);
});
