import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { commitFiles, watchEvents } from '#client/index';
import { seededRandom } from '#testkit/repositories/random-history';
import { extent, repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { checkReplay, createWritten, replayed, writeOnce } from '../events/writers.ts';
import { connections, ready, readyWorkers, repository, servedBy, startFamily } from './family.ts';

const CONNECTIONS = 9;
const KILLS = repetitions('FEED_WORKER_KILLS', { short: 1, long: 20 });
const ROUNDS = extent('FEED_WORKER_ROUNDS', { short: 6, long: 60 });
const LIFE_MS = 600;
/** The feed looks for what a dead worker's git still does every two seconds. */
const ORPHANS_MS = 3000;
const EVENTS = '[events]\nenabled = true\n';
/** Connections stay where they are. */
const STEADY = { choice: 'random', tickMs: 600_000, backOffMs: 50, maxBackOffMs: 200 };
const seed = testSeed('FEED_WORKERS_SEED');

test('the event of a write is in the feed of every process when the write is answered', async () => {
  // Each process gets three connections.
  await using gitaly = await startFamily(EVENTS, { ...STEADY, choice: 'least' });
  const opened = await connections(gitaly.address, CONNECTIONS);
  const [first] = opened;
  assert.ok(first);
  const live: bigint[] = [];
  const ending = new AbortController();
  const watching = Promise.all(
    opened.map(async (connection) => {
      const { signal } = ending;
      for await (const { sequence } of watchEvents(connection, { storageName: 'default', signal }))
        live.push(sequence);
    }),
  );
  await first.repository.createRepository({ repository });

  for (let round = 0; round < ROUNDS; round++) {
    const writer = opened[round % CONNECTIONS] ?? first;
    const before: bigint = (await first.events.list({ storageName: 'default' })).cursor;
    const update = await commitFiles(
      writer,
      {
        repository: { ...repository, glRepository: 'project-1' },
        user: USER,
        branchName: Buffer.from('main'),
        commitMessage: Buffer.from(`${round}`),
      },
      [{ type: 'create', path: `${round}`, content: 'x' }],
    );
    for (const reader of opened) {
      const { events, isEnd } = await reader.events.list({ storageName: 'default', after: before });
      assert.deepEqual(
        events.map(({ newValue, reference }) => [Buffer.from(reference).toString(), newValue]),
        [['refs/heads/main', update?.commitId]],
      );
      assert.equal(isEnd, true);
    }
  }

  const { cursor: last } = await first.events.list({ storageName: 'default' });
  await until(() => live.length === Number(last) * CONNECTIONS);
  await until(() => servedBy(gitaly, 'UserCommitFiles').size > 1);
  ending.abort();
  await watching;
  await Promise.all(opened.map((connection) => connection.close()));
});

test('writes of all processes are one feed in order, also when workers are killed', async (context) => {
  context.diagnostic(`FEED_WORKERS_SEED=${seed}`);
  const random = seededRandom(seed);
  await using gitaly = await startFamily(EVENTS, STEADY);
  const opened = await connections(gitaly.address, CONNECTIONS);
  const [first] = opened;
  assert.ok(first);
  await createWritten(first);
  const ending = new AbortController();
  const writing = opened.map(async (connection, writer) => {
    while (!ending.signal.aborted) await writeOnce(connection, writer, random);
  });

  for (let kill = 0; kill < KILLS; kill++) {
    await delay(random() * LIFE_MS); // a random moment of the writes
    process.kill(readyWorkers(gitaly).at(-1) ?? 0, 'SIGKILL');
    await ready(gitaly, 2 + kill + 1);
  }
  await delay(random() * LIFE_MS); // writes in the new workers
  ending.abort();
  await Promise.all(writing);
  await delay(ORPHANS_MS);

  const [one, ...others] = await Promise.all(opened.map(replayed));
  assert.ok(one);
  for (const other of others) assert.deepEqual(other.events, one.events);
  const storage = join(gitaly.directory, 'default');
  await checkReplay(one.replay, first, { storage, writers: CONNECTIONS });
  context.diagnostic(`${one.events.length} events`);
  assert.doesNotMatch(gitaly.log(), /could not record a change/);
  await Promise.all(opened.map((connection) => connection.close()));
});
