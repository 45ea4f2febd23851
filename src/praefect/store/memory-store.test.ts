import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReplicationJob } from '../model/job.ts';
import { MemoryStore } from './memory-store.ts';

const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const job: ReplicationJob = {
  ...{ change: 'update', repositoryId: 0, ...repository, replicaPath: '' },
  ...{ source: 'a', target: 'b', correlationId: '' },
};
const write = { repository, repositoryId: 0, primary: 'a', updated: ['b'], outdated: ['c'] };

test('all replicas of a repository that was there before count as up to date, until a write', async () => {
  const store = new MemoryStore();
  assert.equal(store.consistentStorages(repository), undefined);

  assert.deepEqual(await store.recordWrite(write), ['a', 'b']);

  assert.deepEqual(store.consistentStorages(repository), new Set(['a', 'b']));
  assert.deepEqual(await store.planCopy({ ...job, target: 'c' }), {
    ...{ source: 1, target: 0, replicaPath: 'x.git' },
  });
});

test('a successor of a repository that was there before has been up to date, too', async () => {
  const store = new MemoryStore();

  const written = await store.recordWrite({
    ...write,
    updated: [],
    outdated: [],
    successors: [['d'], ['b']],
  });

  assert.deepEqual(written, ['d']);
  assert.deepEqual(store.consistentStorages(repository), new Set(['d']));
  const { source, target } = await store.planCopy(job);
  assert.deepEqual([source, target], [0, 0], 'the others have what was before');
});

// Symptom: the target of the copy counted as up to date some writes later, without their changes.
for (const isCreated of [true, false])
  test(`a copy of a former repository does not count for a ${isCreated ? 'new' : 'moved'} one`, async () => {
    const store = new MemoryStore();
    const created = {
      repositoryId: 0,
      replicaPath: 'x.git',
      updated: [],
      outdated: ['c'],
      isAssigned: false,
    };
    const writeAlone = { ...write, updated: [] };
    for (let count = 1; count <= 3; count++) await store.recordWrite(writeAlone);
    const copy = { ...job, target: 'c' };
    const { source } = await store.planCopy(copy);
    await store.recordRemoval(repository);
    if (isCreated) await store.recordCreation({ ...created, repository, primary: 'a' });
    else await store.recordWrite(writeAlone);

    await store.recordCopy(copy, source);

    for (let count = 1; count <= 6; count++) {
      assert.deepEqual(store.consistentStorages(repository), new Set(['a']));
      await store.recordWrite(writeAlone);
    }
    const plan = await store.planCopy(copy);
    assert.ok(plan.target < plan.source);
  });

test('repositories of the same path in two virtual storages are different ones', async () => {
  const store = new MemoryStore();
  const other = { ...repository, virtualStorage: 'other' };
  await store.recordWrite(write);

  assert.equal(store.consistentStorages(other), undefined);
  await store.recordRemoval(other);
  assert.deepEqual(store.consistentStorages(repository), new Set(['a', 'b']));
});

test('a repository has the path of the clients and no id', async () => {
  const store = new MemoryStore();
  const records = store.records();
  assert.equal(await records.forRead(repository), undefined);
  await store.recordWrite(write);

  const record = { storages: new Set(['a', 'b']), repositoryId: 0, replicaPath: 'x.git' };
  assert.deepEqual(await records.forRead(repository), record);
  assert.deepEqual(await records.forWrite(repository), record);
  // A repository that exists can be created here: its node refuses that.
  assert.equal(await records.reserveId(repository), 0);
  assert.equal(await records.replicaPath(repository), undefined);
  assert.equal(records.trustsUnknown, true);
});

test('jobs of an unknown repository record nothing', async () => {
  const store = new MemoryStore();

  await store.recordCopy(job, 5);
  await store.removeInvalidSource(job);

  assert.equal(await store.removeReplica(job), false);
  assert.equal(store.consistentStorages(repository), undefined);
  assert.deepEqual(await store.planCopy(job), { source: -1, target: -1, replicaPath: 'x.git' });
});
