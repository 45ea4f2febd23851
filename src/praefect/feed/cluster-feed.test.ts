import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import type { HandlerContext } from '#rpc/server/handler';
import { watch } from '#services/events/watch';
import { addRepository, changedRepositories, createTestFeed, eventsIn } from '#testkit/feed/feed-database';
import { ScriptedNode } from '#testkit/feed/scripted-node';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { never, until } from '#testkit/until';
import { WatchRequestSchema } from '#wire/gen/gitalyts/events/v1/events_pb';
import { type Database, sql } from '../database/database.ts';
import { ClusterFeed, type ClusterFeedOptions } from './cluster-feed.ts';

const skip = withoutPostgres;

const databaseOf = databaseOfFile();

const emptyDatabase = (): Promise<Database> => createTestFeed(databaseOf());

/** Opens a feed of one node. */
async function openFeed(database: Database, options: Partial<ClusterFeedOptions> = {}) {
  const problems: unknown[] = [];
  const feed = await ClusterFeed.open({
    database,
    nodes: new Map([
      ['default', [new ScriptedNode('gitaly-1').node]],
      ['other', []],
    ]),
    isHealthy: () => true,
    maxAgeMs: 3_600_000,
    maxEvents: 1000,
    onProblem: (error) => void problems.push(error),
    ...options,
  });
  return { feed, problems, [Symbol.asyncDispose]: () => feed[Symbol.asyncDispose]() };
}

/** Counts the finished looks of a feed by its only statements that return one row. */
function countingLooks(database: Database): { readonly counted: Database; looks: number } {
  const row: Database['row'] = async (statement) => {
    const found = await database.row(statement);
    result.looks++;
    return found;
  };
  const get = (_: unknown, name: string | symbol): unknown => {
    const value: unknown = name === 'row' ? row : Reflect.get(database, name, database);
    return typeof value === 'function' ? value.bind(database) : value;
  };
  const result = { looks: 0, counted: new Proxy<Database>(database, { get }) };
  return result;
}

/** Counts the reads of events. */
function countingReads(database: Database): { readonly counted: Database; reads: number } {
  const rows: Database['rows'] = async (statement) => {
    result.reads++;
    return await database.rows(statement);
  };
  const get = (_: unknown, name: string | symbol): unknown => {
    const value: unknown = name === 'rows' ? rows : Reflect.get(database, name, database);
    return typeof value === 'function' ? value.bind(database) : value;
  };
  const result = { reads: 0, counted: new Proxy<Database>(database, { get }) };
  return result;
}

/** Stops the time of the feed, not that of `until`. */
const stopTime = (context: TestContext): void => context.mock.timers.enable({ apis: ['setTimeout'] });

/** Adds events of removals. @param age of the first half in seconds. */
async function addEvents(database: Database, count: number, age = 0): Promise<void> {
  await database.run(sql`WITH state AS (
      UPDATE gitalyts_feed_state SET last = last + ${count} RETURNING last - ${count} AS first
    )
    INSERT INTO gitalyts_feed_events (sequence, virtual_storage, kind, relative_path, happened_at)
    SELECT first + place, 'default', 'removed', place || '.git',
      clock_timestamp() - make_interval(secs => CASE WHEN 2 * place <= ${count} THEN ${age} ELSE 0 END)
    FROM state, generate_series(1, ${count}) AS each(place)`);
}

async function storedEvents(database: Database): Promise<number[]> {
  const rows = await database.rows(sql<{ sequence: number }>`
    SELECT sequence FROM gitalyts_feed_events ORDER BY sequence`);
  return rows.map(({ sequence }) => sequence);
}

test('the feed of a virtual storage that does not exist is refused', { skip }, async () => {
  await using opened = await openFeed(await emptyDatabase());

  assert.equal((await opened.feed.journal('other')).last, 0);
  await assert.rejects(opened.feed.journal('default2'), {
    code: 'INVALID_ARGUMENT',
    message: 'virtual storage does not exist',
  });
});

test('a feed looks for changes after a time, or when it is woken', { skip }, async (context) => {
  const database = await emptyDatabase();
  const looks = countingLooks(database);
  stopTime(context);
  await using opened = await openFeed(looks.counted);
  await until(() => looks.looks === 1);
  await addRepository(database, 1);
  await never(() => looks.looks > 1);

  opened.feed.wake();
  await until(async () => (await eventsIn(database)).length === 1);

  await until(() => looks.looks === 3, 'before and after the recording');
  await never(() => looks.looks > 3);
  context.mock.timers.tick(200);
  await until(() => looks.looks === 4);
});

test('who asks for the events gets those that another praefect has made', { skip }, async (context) => {
  const database = await emptyDatabase();
  const looks = countingLooks(database);
  stopTime(context);
  await using opened = await openFeed(looks.counted);
  await until(() => looks.looks === 1);

  await addEvents(database, 2);
  assert.equal((await opened.feed.journal('default')).last, 2);
  await addEvents(database, 2);
  const journals = await opened.feed.journals();

  assert.deepEqual(
    journals.map(({ journal, storage }) => [storage, journal.last]),
    [
      ['default', 4],
      ['other', 4],
    ],
  );
});

// Symptom: a Praefect with two virtual storages was busy for good after a write, also alone.
test('a watcher of a virtual storage rests while only others change', { skip }, async () => {
  const database = await emptyDatabase();
  const reads = countingReads(database);
  await using opened = await openFeed(reads.counted);
  const leaving = new AbortController();
  const request = create(WatchRequestSchema, { storageName: 'other', heartbeatSeconds: 1 });
  const context = { signal: leaving.signal } as HandlerContext;
  const watching = watch(request, context, opened)[Symbol.asyncIterator]();
  assert.deepEqual((await watching.next()).value, { cursor: 0n });
  const next = watching.next();

  await addEvents(database, 3);
  await until(() => reads.reads > 0);
  await never(() => reads.reads > 3);

  assert.deepEqual((await next).value, { cursor: 3n }, 'it need not read these again');
  leaving.abort(new Error('the client left'));
  await assert.rejects(async () => await watching.next(), /^Error: the client left$/);
});

test('many changes of a repository that cannot be read do not hold up others', { skip }, async () => {
  const database = await emptyDatabase();
  await addRepository(database, 1);
  await addRepository(database, 2, { replicas: { 'gitaly-2': 1 } });
  await database.run(sql`DELETE FROM gitalyts_feed_changes`);
  for (const [id, count] of [
    [2, 600],
    [1, 1],
  ])
    await database.run(sql`INSERT INTO gitalyts_feed_changes
      (kind, repository_id, virtual_storage, relative_path)
      SELECT 'written', ${id}, 'default', ${`${id}.git`} FROM generate_series(1, ${count})`);

  await using _ = await openFeed(database);

  await until(async () => (await eventsIn(database)).length === 1);
  assert.deepEqual(await eventsIn(database), ['resync 1.git']);
  assert.deepEqual(await changedRepositories(database), [2]);
});

test('a problem of the database is reported once in a while, and does not end the feed', {
  skip,
}, async () => {
  const database = await emptyDatabase();
  await using opened = await openFeed(database);
  await database.run(sql`DELETE FROM gitalyts_feed_state`);

  await until(() => opened.problems.length === 1);
  await never(() => opened.problems.length > 1);
  assert.match(String(opened.problems[0]), /the tables of the change feed are empty/);
  await database.run(sql`INSERT INTO gitalyts_feed_state VALUES (true, 0, 0)`);
  await addRepository(database, 1);

  await until(async () => (await eventsIn(database)).length === 1);
});

test('old events are removed, and those that are too many', { skip }, async () => {
  const database = await emptyDatabase();
  await addEvents(database, 10, 120);
  {
    await using _ = await openFeed(database, { maxAgeMs: 60_000 });
    await until(async () => (await storedEvents(database)).length === 5);
  }
  assert.deepEqual(await storedEvents(database), [6, 7, 8, 9, 10]);
  assert.deepEqual(await database.row(sql`SELECT compacted FROM gitalyts_feed_state`), { compacted: 5 });

  await using opened = await openFeed(database, { maxEvents: 3 });
  await until(async () => (await storedEvents(database)).length === 3);
  assert.equal((await opened.feed.journal('default')).oldest, 7);
});

test('events are removed when an eighth of their limit is new', { skip }, async (context) => {
  const database = await emptyDatabase();
  const looks = countingLooks(database);
  stopTime(context);
  await addEvents(database, 80);
  await using opened = await openFeed(looks.counted, { maxEvents: 80 });
  const look = async (): Promise<void> => {
    const before = looks.looks;
    opened.feed.wake();
    await until(() => looks.looks > before);
    // The feed compacts before a look, by what the previous look has seen.
    opened.feed.wake();
    await until(() => looks.looks > before + 1);
  };
  await until(() => looks.looks === 1);
  await look();

  await addEvents(database, 10);
  await look();
  assert.equal((await storedEvents(database)).length, 90);
  await addEvents(database, 1);
  await look();

  await until(async () => (await storedEvents(database)).length === 80);
});

test('the end of a feed ends those who watch, and its looks', { skip }, async () => {
  const database = await emptyDatabase();
  const looks = countingLooks(database);
  const { feed, problems } = await openFeed(looks.counted);
  await until(() => looks.looks > 0);
  assert.equal(feed.ending.signal.aborted, false);

  feed.ending.abort();
  assert.equal(feed.ending.signal.aborted, true);
  await feed[Symbol.asyncDispose]();

  const ended = looks.looks;
  await never(() => looks.looks > ended);
  assert.deepEqual(problems, []);
});

test('the end of a feed waits for the work that runs, which needs the database', { skip }, async () => {
  const database = await emptyDatabase();
  const { feed } = await openFeed(database);
  const waiting = sql<{ count: number }>`SELECT count(*)::int FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  let hasEnded = false;

  const { ending } = await database.transaction(async (executor) => {
    await sql`LOCK TABLE gitalyts_feed_changes`.execute(executor);
    feed.wake();
    await until(async () => (await database.row(waiting))?.count === 1);
    const ended = feed[Symbol.asyncDispose]().then(() => {
      hasEnded = true;
    });
    for (let turns = 0; turns < 20; turns++) await turn();
    assert.equal(hasEnded, false);
    return { ending: ended };
  });

  await ending;
});
