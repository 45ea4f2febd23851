import assert, { AssertionError } from 'node:assert/strict';
import { test } from 'node:test';
import { startGitaly } from '#testkit/start-gitaly';
import { assertGitalyCalls, assertNoNPlus1, CommitService, GitalyClient } from './index.ts';

async function arrange() {
  const server = await startGitaly();
  const repository = await server.createRepository({ commits: 6 });
  const client = new GitalyClient({ storages: { default: { gitaly_address: server.address } } });
  const ids = (await repository.git(['rev-list', 'main'])).split('\n');
  return {
    client,
    commits: new CommitService(client, repository),
    ids,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server.close();
    },
  };
}

test('a loop of calls is found, with the place that makes them', async () => {
  await using arranged = await arrange();
  const { client, commits, ids } = arranged;
  const renderAll = async (size: number) => {
    await commits.commitCount('main');
    for (const id of ids.slice(0, size)) await commits.findCommit(id);
  };

  await assert.rejects(assertNoNPlus1(client, renderAll), (error) => {
    assert.ok(error instanceof AssertionError);
    assert.deepEqual([error.actual, error.expected], [6, 2]);
    assert.match(error.message, /^N\+1 calls of Gitaly: 2 with 1 items, 6 with 5\./);
    assert.doesNotMatch(error.message, /commit_count/); // it is as frequent with one item
    assert.match(error.message, / 4 × commit_service#find_commit\n +at renderAll \(.*assert-calls\.test\.ts/);
    return true;
  });
  await assertNoNPlus1(client, async (size) => {
    await commits.commitCount('main');
    await commits.listCommitsByOid(ids.slice(0, size));
  });
});

test('more than 30 calls are counted, and an error of the work comes through', async () => {
  await using arranged = await arrange();
  const { client, commits } = arranged;
  const often = async (count: number) => {
    for (let i = 0; i < count; i++) await commits.findCommit('main');
    return 'done';
  };

  assert.equal(await assertGitalyCalls(client, () => often(40), { exactly: 40 }), 'done');
  assert.equal(await assertGitalyCalls(client, () => often(2), { atMost: 3 }), 'done');
  await assert.rejects(
    assertGitalyCalls(client, () => often(3), { atMost: 2 }),
    {
      name: 'AssertionError',
      message: /^expected at most 2 calls of Gitaly, but there were 3:\n {2}3 × commit_service#find_commit/,
    },
  );
  await assert.rejects(
    assertGitalyCalls(client, () => often(1), { exactly: 2 }),
    { actual: 1, expected: 2 },
  );
  await assert.rejects(
    assertNoNPlus1(client, () => Promise.reject(new Error('of the work'))),
    { message: 'of the work' },
  );
});
