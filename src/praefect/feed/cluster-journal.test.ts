import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TooOldError } from '#events/event-files';
import { brief, createTestFeed, VIRTUAL_STORAGE } from '#testkit/feed/feed-database';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { type Database, sql } from '../database/database.ts';
import { clusterJournal } from './cluster-journal.ts';
import { EventWriter } from './event-writer.ts';

const skip = withoutPostgres;

const databaseOf = databaseOfFile();

const startFeed = (): Promise<Database> => createTestFeed(databaseOf());

/** Adds events of repositories. */
async function write(database: Database, add: (writer: EventWriter) => Promise<void>): Promise<void> {
  const state = await database.row(sql<{ last: number }>`SELECT last FROM gitalyts_feed_state`);
  await database.transaction(async (executor) => {
    const writer = new EventWriter(executor, state?.last ?? 0);
    await add(writer);
    await writer.end();
  });
}

const repositoryOf = (repositoryId: number, virtualStorage = VIRTUAL_STORAGE) => ({
  ...{ repositoryId, virtualStorage, relativePath: `${repositoryId}.git` },
});

const ANN = { id: 'username-ann', name: 'ann', credential: { kind: 'key', name: 'laptop' } } as const;

const move = (reference: string, oldValue: string | undefined, newValue: string | undefined) => ({
  ...{ reference, oldValue, newValue },
});

/** Returns the journal, as far as the feed is. @param oldest last event that was compacted. */
async function journalOf(database: Database, { oldest = 0, storage = VIRTUAL_STORAGE } = {}) {
  const journal = clusterJournal(database, storage);
  await database.run(sql`UPDATE gitalyts_feed_state SET compacted = ${oldest}`);
  const state = await database.row(sql<{ last: number }>`SELECT last FROM gitalyts_feed_state`);
  journal.moveTo({ last: state?.last ?? 0, oldest });
  return journal;
}

const numbered = (batch: readonly { readonly sequence: number }[]) => batch.map(({ sequence }) => sequence);

test('events are read with all their facts', { skip }, async () => {
  const database = await startFeed();
  const startedMs = Date.now();
  await write(database, async (writer) => {
    await writer.created(repositoryOf(1));
    const byAnn = { ...move('refs/heads/\xe4', '1', '2'), user: ANN };
    await writer.moved(repositoryOf(1), [byAnn, move('HEAD', undefined, 'x')]);
    await writer.renamed({ ...repositoryOf(1), relativePath: 'new.git' }, '1.git');
  });

  const events = (await Array.fromAsync((await journalOf(database)).read(0))).flat();

  const [{ timeMs: firstMs = 0 } = {}] = events;
  assert.ok(firstMs > startedMs - 60_000 && firstMs < Date.now() + 60_000, `${firstMs}`);
  assert.deepEqual(
    events.map(({ timeMs: _, ...event }) => event),
    [
      { sequence: 1, kind: 'created', relativePath: '1.git' },
      {
        sequence: 2,
        kind: 'reference',
        relativePath: '1.git',
        reference: 'refs/heads/\xe4',
        oldValue: '1',
        newValue: '2',
        user: ANN,
      },
      { sequence: 3, kind: 'reference', relativePath: '1.git', reference: 'HEAD', newValue: 'x' },
      { sequence: 4, kind: 'renamed', relativePath: 'new.git', previousPath: '1.git' },
    ],
  );
});

test('many events are read page by page, those of other storages are left out', { skip }, async () => {
  const database = await startFeed();
  await write(database, async (writer) => {
    for (let id = 1; id <= 2000; id++) await writer.removed(repositoryOf(id));
    await writer.removed(repositoryOf(2001, 'other'));
  });
  const journal = await journalOf(database);

  const batches = await Array.fromAsync(journal.read(500));

  assert.deepEqual(batches.map(numbered), [
    Array.from({ length: 1000 }, (_, index) => 501 + index),
    Array.from({ length: 500 }, (_, index) => 1501 + index),
  ]);
  assert.deepEqual((await Array.fromAsync(journal.read(1000))).flatMap(numbered).at(-1), 2000);
  assert.deepEqual(await Array.fromAsync(journal.read(2000)), [], 'no empty batch');
  const other = await journalOf(database, { storage: 'other' });
  assert.deepEqual((await Array.fromAsync(other.read(0))).map(numbered), [[2001]]);
});

test('events that were compacted cannot be read, those after them can', { skip }, async () => {
  const database = await startFeed();
  await write(database, async (writer) => {
    for (let id = 1; id <= 4; id++) await writer.removed(repositoryOf(id));
  });
  const journal = await journalOf(database, { oldest: 2 });

  assert.deepEqual((await Array.fromAsync(journal.read(2))).map(numbered), [[3, 4]]);
  await assert.rejects(Array.fromAsync(journal.read(1)), (error) => {
    assert.ok(error instanceof TooOldError);
    assert.equal(error.message, 'events up to 2 are no longer kept');
    return true;
  });
});

test('who waits for news learns of new events only', { skip }, async () => {
  const journal = clusterJournal(await startFeed(), VIRTUAL_STORAGE);
  let news = 0;
  void journal.news.then(() => news++);
  assert.deepEqual([journal.last, journal.oldest], [0, 0]);

  journal.moveTo({ last: 0, oldest: 0 });
  await turn();
  assert.equal(news, 0);

  journal.moveTo({ last: 2, oldest: 1 });
  await turn();
  assert.equal(news, 1);
  assert.deepEqual([journal.last, journal.oldest], [2, 1]);
  void journal.news.then(() => news++);
  await turn();
  assert.equal(news, 1, 'the next news are others');
});

test('compacted events are the latest of each repository and reference, in their order', {
  skip,
}, async () => {
  const database = await startFeed();
  await write(database, async (writer) => {
    await writer.created(repositoryOf(1));
    await writer.created(repositoryOf(2));
    await writer.moved(repositoryOf(1), [
      move('refs/heads/a', undefined, '1'),
      move('refs/heads/b', undefined, '1'),
      move('refs/heads/c', undefined, '1'),
      move('refs/heads/a', '1', '2'),
      move('refs/heads/b', '1', undefined),
    ]);
    await writer.removed(repositoryOf(2));
    await writer.resync(repositoryOf(3), undefined);
    await writer.created(repositoryOf(4, 'other'));
    await writer.moved(repositoryOf(1), [move('refs/heads/c', '1', '3')]);
    await writer.moved(repositoryOf(1), [move('refs/heads/d', undefined, '1')]);
    await writer.moved(repositoryOf(1), [move('refs/heads/e', undefined, '1')]);
    await writer.moved(repositoryOf(1), [move('refs/heads/e', '1', undefined)]);
  });
  const journal = await journalOf(database, { oldest: 11 });

  const { batches, last } = journal.compacted();
  const events = (await Array.fromAsync(batches)).flat();

  assert.equal(last, 14);
  assert.deepEqual(
    events.map((event) => `${event.sequence} ${brief(event)}`),
    [
      '0 compacted',
      '1 created 1.git',
      '6 reference 1.git refs/heads/a: - > 2',
      '9 resync 3.git',
      '11 reference 1.git refs/heads/c: - > 3',
      '12 reference 1.git refs/heads/d: - > 1',
    ],
  );
});

test('a part of compacted events is continued between the oldest event and the last', { skip }, async () => {
  const database = await startFeed();
  await write(database, async (writer) => {
    for (let id = 1; id <= 4; id++) await writer.created(repositoryOf(id));
  });
  const journal = await journalOf(database, { oldest: 2 });

  assert.deepEqual(
    [2, 4].map((last) => journal.compacted(last).last),
    [2, 4],
  );
  for (const last of [1, 5])
    assert.throws(() => journal.compacted(last), { message: 'events up to 2 were compacted' });
  const upTo3 = await Array.fromAsync(journal.compacted(3).batches);
  assert.deepEqual(upTo3.map(numbered), [[0], [1, 2, 3]]);
});

test('many compacted events are read page by page, and a rename meanwhile ends that', { skip }, async () => {
  const database = await startFeed();
  const names = Array.from({ length: 1500 }, (_, number) => `refs/heads/${number}`);
  await write(database, async (writer) => {
    for (let id = 1; id <= 500; id++) await writer.created(repositoryOf(id));
    await writer.moved(
      repositoryOf(1),
      names.map((name) => move(name, undefined, '1')),
    );
  });
  const journal = await journalOf(database, { oldest: 2000 });
  const { batches } = journal.compacted();

  assert.deepEqual(
    (await Array.fromAsync(batches)).map((batch) => batch.length),
    [1, 1000, 1000],
  );
  const reading = journal.compacted().batches[Symbol.asyncIterator]();
  await reading.next();
  await reading.next();
  await write(database, async (writer) => {
    await writer.renamed({ ...repositoryOf(1), relativePath: 'new.git' }, '1.git');
  });
  await assert.rejects(async () => await reading.next(), TooOldError);
});
