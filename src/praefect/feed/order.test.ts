import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addRepository, addWrite, eventsIn } from '#testkit/feed/feed-database';
import { type ScriptedFeed, startScriptedFeed } from '#testkit/feed/scripted-feed';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';

const skip = withoutPostgres;
const PATH = '@cluster/1';

const databaseOf = databaseOfFile();

/** Starts a feed with a repository whose first node has a journal, up to a sequence. */
async function startFeed(last: number): Promise<ScriptedFeed> {
  const feed = await startScriptedFeed(databaseOf());
  feed.nodes[0].events.push({ sequence: last, relativePath: '@cluster/2', reference: 'x', newValue: '1' });
  feed.reported.lastSequence = last;
  await addRepository(feed.database, 1);
  return feed;
}

/** Moves references by consecutive events of the first node. The list of them is sorted. */
function push(
  { nodes: [node], reported }: ScriptedFeed,
  names: readonly string[],
  move: { readonly oldValue?: string; readonly newValue: string } = { newValue: '1' },
): void {
  const references = new Map(node.references.get(PATH) ?? []);
  for (const reference of names) {
    const sequence = (node.events.at(-1)?.sequence ?? 0) + 1;
    node.events.push({ sequence, relativePath: PATH, reference, ...move });
    references.set(reference, move.newValue);
    reported.lastSequence = sequence;
  }
  node.references.set(PATH, new Map([...references].sort(([one], [other]) => (one < other ? -1 : 1))));
}

/** Makes events of what was pushed. @returns the names in their order. */
async function recorded({ database, record }: ScriptedFeed): Promise<string[]> {
  const state = await database.row(sql<{ last: number }>`SELECT last FROM gitalyts_feed_state`);
  await addWrite(database, 1);
  await record();
  const events = await eventsIn(database, { after: state?.last ?? 0 });
  return events
    .filter((event) => event.startsWith('reference'))
    .map((event) => event.replace(/^reference 1\.git |: - > 1$/g, ''));
}

const many = (prefix: string, length: number): string[] =>
  Array.from({ length }, (_, index) => `refs/heads/${prefix}/${String(index).padStart(4, '0')}`);

// Symptom: of two pushes in a fifth of a second the second came first, if the first had moved more
// than 256 references.
for (const length of [300, 1500])
  test(`a push of ${length} references precedes a later one`, { skip }, async () => {
    const feed = await startFeed(5);
    await recorded(feed);
    const first = many('z', length);
    push(feed, first);
    push(feed, ['refs/heads/a']);

    assert.deepEqual(await recorded(feed), [...first, 'refs/heads/a']);
  });

test('pushes to a new repository, of which no place is known, are in their order', { skip }, async () => {
  const feed = await startFeed(5);
  const first = many('z', 300);
  push(feed, first);
  push(feed, ['refs/heads/a']);

  assert.deepEqual(await recorded(feed), [...first, 'refs/heads/a']);
});

test('pushes behind many events of other repositories are in their order', { skip }, async () => {
  const feed = await startFeed(5);
  await recorded(feed);
  feed.nodes[0].events.push({ sequence: 20_000, relativePath: '@cluster/2', reference: 'x', newValue: '2' });
  const first = many('z', 300);
  push(feed, first);
  push(feed, ['refs/heads/a']);

  assert.deepEqual(await recorded(feed), [...first, 'refs/heads/a']);
});

/** Pushes that move more references than the feed keeps moves of; `z` first. */
function pushMany(feed: ScriptedFeed): {
  readonly first: readonly string[];
  readonly second: readonly string[];
} {
  const first = many('z', 3000);
  const second = many('a', 4000);
  push(feed, first);
  push(feed, second);
  push(feed, second, { oldValue: '1', newValue: '2' });
  return { first, second };
}

// Symptom: beyond ten thousand moves in one look the later of two pushes came first.
test('more moves than are kept are in their order', { skip }, async () => {
  const feed = await startFeed(5);
  await recorded(feed);
  const { first, second } = pushMany(feed);

  const again = second.map((name) => `${name}: 1 > 2`);
  assert.deepEqual(await recorded(feed), [...first, ...second, ...again]);
});

test('more moves than are kept of a new repository are in their order', { skip }, async () => {
  const feed = await startFeed(5);
  const { first, second } = pushMany(feed);

  const again = second.map((name) => `${name}: 1 > 2`);
  assert.deepEqual(await recorded(feed), [...first, ...second, ...again]);
});

for (const others of [20_000, 200_000])
  test(`moves among ${others} events of other repositories are in their order`, { skip }, async () => {
    const feed = await startFeed(5);
    push(feed, ['refs/heads/z']);
    const sequence = (feed.nodes[0].events.at(-1)?.sequence ?? 0) + others;
    feed.nodes[0].events.push({ sequence, relativePath: '@cluster/2', reference: 'x', newValue: '2' });
    push(feed, ['refs/heads/a']);

    assert.deepEqual(await recorded(feed), ['refs/heads/z', 'refs/heads/a']);
  });

test('no more of a journal is read than has happened since the last write', { skip }, async () => {
  const feed = await startFeed(5);
  await recorded(feed);
  const [node] = feed.nodes;
  node.events.push({ sequence: 15_000, relativePath: '@cluster/2', reference: 'x', newValue: '2' });
  feed.reported.lastSequence = 15_000;
  // The node has not recorded these.
  node.references.set(PATH, new Map([...'ab'].map((name) => [`refs/heads/${name}`, '1'])));
  node.lists.splice(0);

  assert.deepEqual(await recorded(feed), ['refs/heads/a', 'refs/heads/b']);
  assert.deepEqual(
    node.lists.map(({ after }) => Number(after)).filter((sequence) => sequence < 15_000),
    [5000, 5],
  );
});
