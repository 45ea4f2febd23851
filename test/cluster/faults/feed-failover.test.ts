import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Connection, commitFiles, type RepositoryEvent, watchEvents } from '#client/index';
import { sql } from '#praefect/database/database';
import { seededRandom } from '#testkit/repositories/random-history';
import { withoutOwnPostgres } from '#testkit/servers/start-postgres';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { Replay, referencesOf } from '../../events/replay.ts';
import { FaultCluster, type FaultNode } from './fault-cluster.ts';

const KILLS = repetitions('FEED_FAILOVERS', { short: 1, long: 6 });
const WRITERS = 4;
const seed = testSeed('FEED_FAILOVER_SEED');
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };
const CALL_MS = 20_000;
const PAUSE_MS = 50;
/** Node crashed, primary elected, copies made. */
const RECOVERY_MS = 90_000;
const MIN_LIFE_MS = 500;
const MAX_LIFE_MS = 1500;

/** Commits to a branch of its own, and keeps what was acknowledged. */
class Writer {
  readonly branch: string;
  readonly acknowledged: string[] = [];
  readonly #connections: readonly Connection[];
  #number = 0;

  constructor(number: number, connections: readonly Connection[]) {
    this.branch = `writer-${number}`;
    this.#connections = connections;
  }

  async write(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const number = this.#number++;
      const connection = this.#connections[number % this.#connections.length];
      const path = `${this.branch}-${number}`;
      const update = await commitFiles(
        connection ?? assert.fail(),
        {
          ...{ repository, user: USER, branchName: Buffer.from(this.branch) },
          commitMessage: Buffer.from(path),
        },
        [{ type: 'create', path, content: path }],
        { timeoutMs: CALL_MS },
      ).catch(() => undefined); // it may have been made
      if (update === undefined) await delay(PAUSE_MS);
      else this.acknowledged.push(update.commitId);
    }
  }
}

/** Returns the node that is the primary, and the path of the replicas. */
async function primaryOf({ database, nodes }: FaultCluster): Promise<{ node: FaultNode; path: string }> {
  const row = await database.row(sql<{ storage: string; path: string }>`
    SELECT "primary" AS storage, replica_path AS path FROM repositories`);
  const node = nodes.find(({ storage }) => storage === row?.storage) ?? assert.fail('no primary');
  return { node, path: row?.path ?? '' };
}

/** Has all of them write until some work has ended. */
async function writeWhile(writers: readonly Writer[], work: () => Promise<void>): Promise<void> {
  let isOver = false;
  const writing = writers.map((writer) => writer.write(() => isOver));
  try {
    await work();
  } finally {
    isOver = true;
    await Promise.all(writing);
  }
}

async function allUpToDate({ database, nodes }: FaultCluster): Promise<boolean> {
  const rows = await database.rows(sql`
    SELECT FROM repositories JOIN storage_repositories USING (repository_id, generation)`);
  return rows.length === nodes.length;
}

test('kills of the primary lose no acknowledged change, and reorder none', {
  skip: withoutOwnPostgres,
}, async (context) => {
  context.diagnostic(`FEED_FAILOVER_SEED=${seed}`);
  const random = seededRandom(seed);
  await using cluster = await FaultCluster.start({ hasFeed: true });
  const connections = cluster.praefects.map(({ connection }) => connection);
  const [first = assert.fail()] = connections;
  await first.repository.createRepository({ repository });
  const writers = Array.from({ length: WRITERS }, (_, number) => new Writer(number, connections));
  for (let kill = 0; kill < KILLS; kill++) {
    const { node } = await primaryOf(cluster);
    await writeWhile(writers, async () => {
      await delay(MIN_LIFE_MS + random() * MAX_LIFE_MS); // a random moment of the writes
      const before = writers.map(({ acknowledged }) => acknowledged.length);
      node.process.kill('SIGKILL');
      await until(
        () => writers.every(({ acknowledged }, index) => acknowledged.length > (before[index] ?? 0) + 1),
        'writes go on',
        RECOVERY_MS,
      );
    });
    await node.restart();
    // Without it the next kill could leave no replica that is up to date.
    await until(() => allUpToDate(cluster), 'all replicas are up to date', RECOVERY_MS);
  }

  const events: RepositoryEvent[] = [];
  const ending = new AbortController();
  const { signal } = ending;
  const reading = (async () => {
    for await (const event of watchEvents(connections[1] ?? assert.fail(), {
      storageName: 'default',
      signal,
    }))
      events.push(event);
  })();
  const { node, path } = await primaryOf(cluster);
  const expected = await referencesOf(join(node.directory, 'default', path));
  const replayed = (): Replay => {
    const replay = new Replay();
    for (const event of events) replay.apply(event);
    return replay;
  };
  const isComplete = (): boolean => isDeepStrictEqual(replayed().repositories.get('a.git'), expected);
  await until(isComplete).catch(() => {}); // the comparison shows the difference
  ending.abort();
  await reading;

  assert.deepEqual(replayed().repositories.get('a.git'), expected);
  assert.deepEqual(replayed().unknown, new Set());
  for (const { acknowledged, branch } of writers) {
    const reported = events
      .filter(({ reference }) => reference?.toString() === `refs/heads/${branch}`)
      .map(({ newValue }) => newValue);
    const found = reported.filter((value) => acknowledged.includes(value ?? ''));
    assert.deepEqual(found, acknowledged, branch);
  }
  const count = writers.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
  context.diagnostic(`${count} writes, ${KILLS} kills`);
});
