import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addRepository, addWrite, eventsIn, VIRTUAL_STORAGE } from '#testkit/feed/feed-database';
import { type ScriptedFeed, startScriptedFeed } from '#testkit/feed/scripted-feed';
import type { ScriptedEvent } from '#testkit/feed/scripted-node';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import { clusterJournal } from './cluster-journal.ts';
import { KEPT_MOVES } from './node-events.ts';

const skip = withoutPostgres;
const PATH = '@cluster/1';
const MAIN = 'refs/heads/main';

const databaseOf = databaseOfFile();

const startFeed = () => startScriptedFeed(databaseOf());

/** Records a write after which the first node has these references, and makes its events. */
async function write(
  { database, nodes, record }: ScriptedFeed,
  references: Readonly<Record<string, string>>,
): Promise<string[]> {
  const before = await database.row(sql<{ last: number }>`SELECT last FROM gitalyts_feed_state`);
  nodes[0].references.set(PATH, new Map(Object.entries(references)));
  await addWrite(database, 1);
  await record();
  return await eventsIn(database, { after: before?.last ?? 0 });
}

/** Adds a repository that is older than the feed. */
async function addOldRepository({ database }: ScriptedFeed): Promise<void> {
  await addRepository(database, 1);
  await database.run(sql`DELETE FROM gitalyts_feed_changes`);
}

/** Adds events to the journal of the first node, which has a feed from now on. */
function addEvents(
  { nodes, reported }: ScriptedFeed,
  ...events: Omit<ScriptedEvent, 'relativePath'>[]
): void {
  const [node] = nodes;
  node.events.push(...events.map((event) => ({ relativePath: PATH, ...event })));
  reported.lastSequence = node.events.at(-1)?.sequence ?? 0;
}

test('an old repository is to be listed at its first change, and is known afterwards', { skip }, async () => {
  const feed = await startFeed();
  await addOldRepository(feed);

  assert.deepEqual(await write(feed, { HEAD: `ref: ${MAIN}`, [MAIN]: '1' }), ['resync 1.git']);
  assert.deepEqual(await write(feed, { HEAD: `ref: ${MAIN}`, [MAIN]: '2', 'refs/tags/x': '3' }), [
    `reference 1.git ${MAIN}: 1 > 2`,
    'reference 1.git refs/tags/x: - > 3',
  ]);
  assert.deepEqual(await write(feed, { HEAD: `ref: ${MAIN}` }), [
    `reference 1.git ${MAIN}: 2 > -`,
    'reference 1.git refs/tags/x: 3 > -',
  ]);
  assert.deepEqual(await write(feed, { HEAD: `ref: ${MAIN}` }), []);
});

test('the values of a listing are no events of their own', { skip }, async () => {
  const feed = await startFeed();
  await addOldRepository(feed);
  await write(feed, { [MAIN]: '1' });
  const journal = clusterJournal(feed.database, VIRTUAL_STORAGE);
  journal.moveTo({ last: 1, oldest: 1 });

  const events = await Array.fromAsync(journal.compacted().batches);

  assert.deepEqual(
    events.flat().map(({ kind }) => kind),
    ['compacted', 'resync'],
  );
});

test('references that are too many to compare are to be listed after each change', { skip }, async () => {
  const feed = await startFeed();
  await addOldRepository(feed);
  const some = Object.fromEntries(Array.from({ length: 9999 }, (_, number) => [`refs/heads/${number}`, '1']));
  const most = { HEAD: `ref: ${MAIN}`, ...some };

  assert.deepEqual(await write(feed, most), ['resync 1.git']);
  assert.deepEqual(await write(feed, { ...most, 'refs/heads/0': '2' }), [
    'reference 1.git refs/heads/0: 1 > 2',
  ]);
  assert.deepEqual(await write(feed, { ...most, [MAIN]: '1' }), ['resync 1.git']);
  assert.deepEqual(await write(feed, { ...most, [MAIN]: '2' }), ['resync 1.git']);
});

test('of a repository with a place in a journal only what has moved is read', { skip }, async () => {
  const feed = await startFeed();
  await addOldRepository(feed);
  addEvents(feed, { sequence: 5 });
  await write(feed, { [MAIN]: '1', 'refs/heads/a': '1', 'refs/tags/x': '1' });

  addEvents(feed, { sequence: 6, reference: MAIN, oldValue: '1', newValue: '2' });
  addEvents(feed, { sequence: 7, reference: 'HEAD', newValue: `ref: ${MAIN}` });
  addEvents(feed, { sequence: 8, reference: 'refs/heads/a', oldValue: '1' });
  // The journal has no event of the other references.
  const events = await write(feed, {
    HEAD: `ref: ${MAIN}`,
    [MAIN]: '2',
    'refs/heads/a/b': '1',
    'refs/tags/x': '9',
  });

  assert.deepEqual(events, [
    `reference 1.git ${MAIN}: 1 > 2`,
    `reference 1.git HEAD: - > ref: ${MAIN}`,
    'reference 1.git refs/heads/a: 1 > -',
  ]);
  const { after } = feed.nodes[0].lists.at(-1) ?? assert.fail();
  assert.equal(after, 5n);
  assert.deepEqual(await write(feed, {}), [], 'nothing has moved');
  assert.equal(feed.nodes[0].lists.at(-1)?.after, 8n);
});

test('references that were never listed had the values before their first recorded moves', {
  skip,
}, async () => {
  const { feed, most } = await startWithLargeRepository();

  addEvents(feed, { sequence: 2, reference: MAIN, newValue: '1' });
  addEvents(feed, { sequence: 3, reference: MAIN, oldValue: '1', newValue: '2' });
  addEvents(feed, { sequence: 4, reference: 'refs/tags/0', oldValue: '1', newValue: '2' });
  addEvents(feed, { sequence: 5, reference: 'refs/tags/0', oldValue: '2', newValue: '3' });

  assert.deepEqual(await write(feed, { ...most, [MAIN]: '2', 'refs/tags/0': '3' }), [
    `reference 1.git ${MAIN}: - > 1`,
    `reference 1.git ${MAIN}: 1 > 2`,
    'reference 1.git refs/tags/0: 1 > 2',
    'reference 1.git refs/tags/0: 2 > 3',
  ]);
  addEvents(feed, { sequence: 6, reference: MAIN, oldValue: 'other', newValue: '3' });
  assert.deepEqual(await write(feed, { ...most, [MAIN]: '3' }), [`reference 1.git ${MAIN}: 2 > 3`]);
});

// Symptom: after ten thousand events of other repositories the next push to a large repository was
// an event that asks to list its references.
test('of a large repository the moves behind many events of others are known', { skip }, async () => {
  const { feed, most } = await startWithLargeRepository();

  addEvents(feed, { sequence: 20_000, reference: MAIN, newValue: '1' });
  assert.deepEqual(await write(feed, { ...most, [MAIN]: '1' }), [`reference 1.git ${MAIN}: - > 1`]);
  addEvents(feed, { sequence: 660_001, reference: MAIN, oldValue: '1', newValue: '2' });
  assert.deepEqual(await write(feed, { ...most, [MAIN]: '2' }), ['resync 1.git'], 'too many');
});

/** Starts a feed that knows a repository with more references than it lists. */
async function startWithLargeRepository() {
  const feed = await startFeed();
  await addOldRepository(feed);
  const most = Object.fromEntries(
    Array.from({ length: 10_001 }, (_, number) => [`refs/tags/${number}`, '1']),
  );
  addEvents(feed, { sequence: 1 });
  assert.deepEqual(await write(feed, most), ['resync 1.git']);
  return { feed, most };
}

/** A move as the feed of a node reports it. */
const reportedMove = (sequence: number, oldValue: string, newValue: string) => ({
  ...{ reference: MAIN, oldValue, newValue, sequence },
});

test('values between are those that the node reports, a little later, in its order', { skip }, async () => {
  const feed = await startFeed();
  const { reported } = feed;
  await addRepository(feed.database, 1);
  await write(feed, { 'refs/heads/a': '1', [MAIN]: '1', 'refs/heads/b': '1' });
  [reported.looks, reported.followed] = [0, true];
  const ofA = { ...reportedMove(2, '1', '2'), reference: 'refs/heads/a' };
  const later = [[ofA], [reportedMove(1, '1', '5'), reportedMove(3, '5', '2')], undefined];
  reported.steps = (look) => (look < 3 ? [] : later);

  assert.deepEqual(await write(feed, { 'refs/heads/a': '2', [MAIN]: '2', 'refs/heads/b': '2' }), [
    `reference 1.git ${MAIN}: 1 > 5`,
    'reference 1.git refs/heads/a: 1 > 2',
    `reference 1.git ${MAIN}: 5 > 2`,
    'reference 1.git refs/heads/b: 1 > 2',
  ]);
  assert.equal(reported.looks, 21, 'the move of one reference is never reported');
});

test('values between are not waited for when the node does not report them', { skip }, async () => {
  const feed = await startFeed();
  const { reported } = feed;
  await addRepository(feed.database, 1);
  await write(feed, { [MAIN]: '1' });
  const looksOf = async (references: Readonly<Record<string, string>>): Promise<number> => {
    reported.looks = 0;
    await write(feed, references);
    return reported.looks;
  };
  const many = (length: number, value: string) =>
    Object.fromEntries(Array.from({ length }, (_, number) => [`refs/heads/${number}`, value]));

  assert.equal(await looksOf({ [MAIN]: '2' }), 1, 'without a feed');
  reported.followed = true;
  await looksOf(many(KEPT_MOVES + 1, '1'));
  assert.equal(await looksOf(many(KEPT_MOVES, '2')), 1, 'a move more than are kept: one was deleted');
  assert.equal(await looksOf(many(KEPT_MOVES, '3')), 21);
  reported.looks = 0;
  reported.steps = () => Array.from({ length: KEPT_MOVES }, () => []);
  await write(feed, many(KEPT_MOVES, '4'));
  assert.equal(reported.looks, 1, 'all are reported');
});
