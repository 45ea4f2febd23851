import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dial } from '#client/index';
import { startGitaly } from '../start-gitaly.ts';

const repository = { storageName: 'default', relativePath: 'a.git' };
const NO_RETRY = { retry: false } as const;

test('a refused call ends with the status of the fault and is not executed', async () => {
  await using gitaly = await startGitaly({ dial: NO_RETRY });
  const refuse = { code: 'RESOURCE_EXHAUSTED', message: 'too busy' } as const;
  const fault = gitaly.faults.add('CreateRepository', { refuse, times: 1 });

  const create = () => gitaly.connection.repository.createRepository({ repository });
  await assert.rejects(create(), refuse);

  const { exists } = await gitaly.connection.repository.repositoryExists({ repository });
  assert.equal(exists, false);
  await create(); // the fault was for one call
  assert.equal(fault.hits, 1);
});

test('a call that is cut afterwards has been executed', async () => {
  await using gitaly = await startGitaly({ dial: NO_RETRY });
  const fault = gitaly.faults.add('/gitaly.RepositoryService/CreateRepository', { cut: true, when: 'after' });

  await assert.rejects(gitaly.connection.repository.createRepository({ repository }), {
    code: 'UNAVAILABLE',
  });

  fault.remove();
  const { exists } = await gitaly.connection.repository.repositoryExists({ repository });
  assert.equal(exists, true);
});

test('a cut connection ends its other calls, and no other connection', async () => {
  await using gitaly = await startGitaly({ tcp: true, dial: NO_RETRY });
  await using other = await dial(gitaly.addresses.tcp ?? '', NO_RETRY);
  gitaly.faults.add('ServerInfo', { delayMs: 60_000, times: 2 });
  gitaly.faults.add('DiskStatistics', { cut: true });
  const waiting = gitaly.connection.server.serverInfo({});
  const elsewhere = new AbortController();
  const fine = other.server.serverInfo({}, { signal: elsewhere.signal });

  const cut = gitaly.connection.server.diskStatistics({});

  await assert.rejects(cut, { code: 'UNAVAILABLE' });
  await assert.rejects(waiting, { code: 'UNAVAILABLE' });
  elsewhere.abort();
  await assert.rejects(fine, { code: 'CANCELLED' });
});

test('a delayed call ends at its deadline, or is executed late', async () => {
  await using gitaly = await startGitaly({ dial: NO_RETRY });
  gitaly.faults.add('ServerInfo', { delayMs: 60_000, times: 1 });
  gitaly.faults.add('*', { delayMs: 100 });

  await assert.rejects(gitaly.connection.server.serverInfo({}, { timeoutMs: 50 }), {
    code: 'DEADLINE_EXCEEDED',
  });

  const start = performance.now();
  assert.match((await gitaly.connection.server.serverInfo({})).serverVersion, /\d/);
  // Timers may end a millisecond early.
  assert.ok(performance.now() - start >= 95);
});

test('a stream is delivered before a fault of its end', async () => {
  await using gitaly = await startGitaly({ dial: NO_RETRY });
  await gitaly.connection.repository.createRepository({ repository });
  gitaly.faults.add('ListRefs', { refuse: 'DATA_LOSS', when: 'after' });
  let messages = 0;

  await assert.rejects(
    async () => {
      const patterns = [Buffer.from('refs/')];
      for await (const _ of gitaly.connection.ref.listRefs({ repository, patterns, head: true })) messages++;
    },
    { code: 'DATA_LOSS', message: 'injected fault' },
  );
  assert.ok(messages <= 1);
});

test('unknown methods and options are refused with the nearest name', async () => {
  await using gitaly = await startGitaly();
  const { faults } = gitaly;

  assert.throws(() => faults.add('FindComit', { cut: true }), /did you mean "FindCommit"/);
  assert.throws(() => faults.add('FindCommit', { delay: 1 } as object), /did you mean "delayMs"/);
  const refuse = { code: 'UNAVAILBLE', message: '' };
  assert.throws(() => faults.add('FindCommit', { refuse } as object), /did you mean "UNAVAILABLE"/);
  assert.throws(() => faults.add('FindCommit', {}), /needs "delayMs", "refuse" or "cut"/);
});
