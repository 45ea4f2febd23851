import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import type { Repository } from '#storage/repository';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { RefTransaction } from './ref-transaction.ts';

/** Creates a reference, or deletes it without `newOid`. @returns the process that did it. */
async function change(repository: Repository, name: string, newOid = '0'.repeat(40)): Promise<number> {
  await using transaction = await RefTransaction.start(repository);
  await transaction.update(name, { newOid });
  await transaction.commit();
  return transaction.process.pid;
}

function tip(fixture: StorageFixture, repository: Repository): string {
  return fixture.runGit(repository.path, ['rev-parse', 'main']);
}

test('one process makes one change after the other', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = tip(fixture, repository);

  const pids = [await change(repository, 'refs/heads/a', oid), await change(repository, 'refs/heads/b', oid)];
  pids.push(await change(repository, 'refs/heads/a'));

  assert.equal(new Set(pids).size, 1);
  assert.equal(
    fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname)', 'refs/heads']),
    'refs/heads/b\nrefs/heads/main',
  );
});

for (const referenceBackend of referenceBackends()) {
  test(`changes at the same time have a process each: ${referenceBackend}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 1, referenceBackend });
    const oid = tip(fixture, repository);

    const names = Array.from({ length: 8 }, (_, number) => `refs/heads/b${number}`);
    const pids = await Promise.all(names.map((name) => change(repository, name, oid)));

    assert.equal(new Set(pids).size, 8);
    const listed = fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname)', 'refs/heads/b*']);
    assert.deepEqual(listed.split('\n'), names);
  });
}

for (const { what, before } of [
  { what: 'created', before: (_: Repository): void => {} },
  {
    what: 'packed',
    before: (_: Repository, fixture: StorageFixture) => fixture.runGit(_.path, ['pack-refs', '--all']),
  },
]) {
  test(`a waiting process knows what somebody else has ${what} since`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 2 });
    const oid = tip(fixture, repository);
    await change(repository, 'refs/heads/gone', oid);
    await change(repository, 'refs/heads/gone');
    const commit = fixture.commit(repository.path, 3);
    fixture.runGit(repository.path, ['update-ref', 'refs/heads/dir/b', oid]);
    before(repository, fixture);

    await assert.rejects(
      change(repository, 'refs/heads/dir', oid),
      /file directory conflict|exit status 128/,
    );
    assert.equal(
      await change(repository, 'refs/heads/new', commit).then(() => tip(fixture, repository)),
      commit,
    );
    await using transaction = await RefTransaction.start(repository);
    await transaction.update('refs/heads/main', { newOid: oid, oldOid: oid });
    await assert.rejects(transaction.prepare(), { message: 'reference does not point to expected object' });
  });
}

test('a failure ends its process only', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = tip(fixture, repository);
  const first = await change(repository, 'refs/heads/a', oid);

  await assert.rejects(change(repository, 'refs/heads/a', '1'.repeat(40)), {
    message: 'target object missing',
  });

  assert.notEqual(await change(repository, 'refs/heads/b', oid), first);
});

test('a process that died while it waited is replaced', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = tip(fixture, repository);
  const pid = await change(repository, 'refs/heads/a', oid);
  process.kill(pid, 'SIGKILL');

  assert.notEqual(await change(repository, 'refs/heads/b', oid), pid);
});

test('a process that died in the pool is replaced, also for many updates', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = tip(fixture, repository);
  process.kill(await change(repository, 'refs/heads/a', oid), 'SIGKILL');

  await using transaction = await RefTransaction.start(repository);
  for (let number = 0; number < 2_000; number++)
    await transaction.update(`refs/keep-around/${number}`, { newOid: oid });
  await transaction.commit();

  const listed = fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname)', 'refs/keep-around']);
  assert.equal(listed.split('\n').length, 2_000);
});

test('the end of a call does not touch the process that it gave back', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = tip(fixture, repository);
  const call = new AbortController();
  await using transaction = await RefTransaction.start(repository, { signal: call.signal });
  await transaction.update('refs/heads/a', { newOid: oid });
  await transaction.commit();

  call.abort();

  assert.equal(await change(repository, 'refs/heads/b', oid), transaction.process.pid);
});

test('a process that was not needed after all serves the next change', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = tip(fixture, repository);
  const pid = await change(repository, 'refs/heads/a', oid);

  {
    await using transaction = await RefTransaction.start(repository);
    await transaction.update('refs/heads/b', { newOid: oid });
  }

  assert.equal(await change(repository, 'refs/heads/c', oid), pid);
  assert.equal(fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname)', 'refs/heads/b']), '');
});

test('a changed setting or a new repository at the same place gets a new process', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = tip(fixture, repository);
  const pids = [await change(repository, 'refs/heads/a', oid)];

  fixture.runGit(repository.path, ['config', 'core.logAllRefUpdates', 'always']);
  pids.push(await change(repository, 'refs/heads/b', oid));
  rmSync(repository.path, { recursive: true });
  const again = fixture.init('x.git', { commits: 1 });
  pids.push(await change(again, 'refs/heads/c', oid));

  assert.equal(new Set(pids).size, 3);
  assert.equal(
    fixture.runGit(again.path, ['for-each-ref', '--format=%(refname)', 'refs/heads/c']),
    'refs/heads/c',
  );
});

test('what follows a NUL in a name is not taken for a command', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = tip(fixture, repository);
  const zeros = '0'.repeat(40);

  const attack = change(
    repository,
    `refs/heads/a\0${oid}\0\0update refs/heads/main\0${zeros}\0\0update refs/heads/b`,
    oid,
  );

  await assert.rejects(attack, { message: 'exit status 128' });
  assert.equal(fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname)']), 'refs/heads/main');
});

for (const field of ['newOid', 'oldOid'] as const) {
  test(`what follows a NUL in the ${field} is not taken for a command`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 1 });
    const oid = tip(fixture, repository);
    const attack = `\0update refs/heads/b\0${oid}`;
    const values =
      field === 'newOid' ? { newOid: `${oid}\0${attack}` } : { newOid: oid, oldOid: `${attack}\0` };
    await using transaction = await RefTransaction.start(repository);
    await transaction.update('refs/heads/a', values);

    await assert.rejects(transaction.commit(), { message: 'exit status 128' });

    assert.equal(fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname)']), 'refs/heads/main');
  });
}

test('many updates are written in few pieces', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = tip(fixture, repository);
  await using transaction = await RefTransaction.start(repository);

  for (let number = 0; number < 2_000; number++)
    await transaction.update(`refs/keep-around/${number}`, { newOid: oid });
  await transaction.commit();

  assert.equal(
    fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname)', 'refs/keep-around']).split('\n')
      .length,
    2_000,
  );
});
