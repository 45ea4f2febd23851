import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { lineLogger } from '#testkit/line-logger';
import type { Database } from '../database/database.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { searchOneStorage } from './cleaner.ts';

const NEVER = new AbortController().signal;
const OLD = { seconds: 0n };

interface Repository {
  readonly relativePath: string;
  readonly modificationTime?: { readonly seconds: bigint };
}

/** A search of the storage `a`, which the test lets end. All its repositories are unknown. */
function start(context: TestContext, repositories: readonly Repository[]) {
  context.mock.timers.enable({ apis: ['setInterval', 'Date'], now: 200_000_000 });
  const walking = Promise.withResolvers<void>();
  const { lines, logger } = lineLogger();
  const batches: number[] = [];
  let updates = 0;
  let problem: Error | undefined;
  const walkRepos = async function* () {
    yield* repositories;
    await walking.promise;
  };
  const node = {
    ...{ storage: 'a', config: { virtualStorage: 'default' } },
    connection: { internal: { walkRepos } },
  } as unknown as GitalyNode; // all that a search uses of it
  const database = {
    row: async () => ({ virtual_storage: 'default', storage: 'a' }),
    run: async () => {
      updates++;
      if (problem !== undefined) throw problem;
    },
    rows: async (statement: { toOperationNode(): unknown }) => {
      const [path] = JSON.stringify(statement.toOperationNode()).match(/\[("\w+\.git",?)+\]/) ?? [];
      const paths = JSON.parse(path ?? '[]') as string[]; // the parameter of the query
      batches.push(paths.length);
      return paths.map((each) => ({ path: each }));
    },
  } as unknown as Database; // as above
  const nodes = new Map([['default', [node]]]);
  const options = { database, nodes, runIntervalMs: 60_000, batchSize: 2, logger };
  const searching = searchOneStorage(options, NEVER);
  return {
    ...{ batches, lines, searching, end: walking.resolve },
    updates: () => updates,
    fail: (error: Error) => {
      problem = error;
    },
  };
}

test('all repositories are compared, in batches, but those that are new', async (context) => {
  const day = 24 * 3600;
  const { batches, end, lines, searching } = start(context, [
    { relativePath: 'a.git', modificationTime: OLD },
    { relativePath: 'new.git', modificationTime: { seconds: 200_000n - BigInt(day) + 1n } },
    { relativePath: 'b.git', modificationTime: { seconds: 200_000n - BigInt(day) } },
    { relativePath: 'c.git' },
  ]);
  end();
  await searching;

  assert.deepEqual(batches, [2, 1]);
  assert.deepEqual(
    lines.map(({ level, msg, relative_replica_path, storage, virtual_storage }) =>
      [level, msg, virtual_storage, storage, relative_replica_path].join(', '),
    ),
    ['a', 'b', 'c'].map((name) => `warning, repository is not managed by praefect, default, a, ${name}.git`),
  );
});

test('nothing is compared when nothing is found', async (context) => {
  const { batches, end, searching } = start(context, []);
  end();
  await searching;
  assert.deepEqual(batches, []);
});

test('a search that lasts belongs to this Praefect, until it ends', async (context) => {
  const { end, fail, lines, searching, updates } = start(context, []);
  await turn();
  const before = updates();

  context.mock.timers.tick(29_899);
  assert.equal(updates(), before);
  context.mock.timers.tick(1);
  assert.equal(updates(), before + 1);
  fail(new Error('no database'));
  context.mock.timers.tick(29_900);
  await turn();
  assert.deepEqual(
    lines.map(({ error, level, msg }) => [level, msg, error]),
    [['error', 'failed to extend a search', 'no database']],
  );
  end();
  await searching;
  const last = updates();
  context.mock.timers.tick(60_000);
  assert.equal(updates(), last);
});
