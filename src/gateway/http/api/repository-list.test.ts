import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '#client/connection';
import { RepositoryList } from './repository-list.ts';

const MINUTE_MS = 60_000;

// Symptom: while a walk of a large storage took longer than two seconds, requests began others.
test('requests share a walk of the storage, however long it takes', async (context) => {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  let walks = 0;
  let { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const walkRepos = async function* () {
    walks++;
    await ended;
    yield { relativePath: `${walks}.git` };
  };
  // The list uses only this call.
  const list = new RepositoryList({ internal: { walkRepos } } as unknown as Connection, 'default');

  const first = list.paths({});
  nowMs = MINUTE_MS;
  const second = list.paths({});
  end();
  assert.deepEqual(await Promise.all([first, second]), [['1.git'], ['1.git']]);
  nowMs += 2000;
  assert.deepEqual(await list.paths({}), ['1.git']);
  assert.equal(walks, 1);

  nowMs++;
  ({ promise: ended, resolve: end } = Promise.withResolvers<void>());
  const next = list.paths({});
  end();
  assert.deepEqual(await next, ['2.git']);
});
