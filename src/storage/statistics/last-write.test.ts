import assert from 'node:assert/strict';
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { LastWrites } from './last-write.ts';

const OLD = new Date('2020-01-01T00:00:00Z');

/** Makes everything old from which the last write of a repository is read. */
function age(path: string): void {
  for (const name of ['objects', 'refs/heads', 'refs/tags', 'HEAD']) utimesSync(`${path}/${name}`, OLD, OLD);
}

/** Returns a function that reads the time of the last write of the repository `x.git`. */
function reader({ storages }: StorageFixture): () => Promise<number | undefined> {
  const lastWrites = new LastWrites(storages);
  return async () => (await lastWrites.of('default', ['x.git']))[0];
}

test('every kind of write is the last one', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git', { commits: 2 });
  const git = (...args: string[]): string => fixture.runGit(path, args);
  const lastWrite = reader(fixture);
  age(path);
  assert.equal(await lastWrite(), OLD.getTime());

  const writes: (() => void)[] = [
    () => git('update-ref', 'refs/heads/main', 'main~1'),
    () => git('tag', 'v1'),
    () => git('update-ref', '-d', 'refs/tags/v1'),
    () => git('symbolic-ref', 'HEAD', 'refs/heads/other'),
    () => git('push', '-q', path, 'main:refs/heads/deep/er'),
  ];
  for (const write of writes) {
    age(path);
    const before = Date.now() - 1000; // files have times of a coarser clock
    write();
    assert.ok(((await lastWrite()) ?? 0) >= before, String(write));
  }
});

for (const name of ['objects', 'refs/heads', 'refs/tags', 'packed-refs', 'HEAD', 'reftable/tables.list'])
  test(`a change of ${name} alone is a write`, async () => {
    await using fixture = await StorageFixture.create();
    const { path } = fixture.init('x.git', { commits: 1 });
    fixture.runGit(path, ['pack-refs', '--all']);
    mkdirSync(`${path}/reftable`);
    writeFileSync(`${path}/reftable/tables.list`, '');
    age(path);
    for (const each of ['packed-refs', 'reftable/tables.list']) utimesSync(`${path}/${each}`, OLD, OLD);
    const lastWrite = reader(fixture);
    assert.equal(await lastWrite(), OLD.getTime());

    const time = new Date('2021-01-01T00:00:00Z');
    utimesSync(`${path}/${name}`, time, time);

    assert.equal(await lastWrite(), time.getTime());
  });

test('a repository that is missing was never written, as well as after it was read', async () => {
  await using fixture = await StorageFixture.create();
  const lastWrite = reader(fixture);
  assert.equal(await lastWrite(), 0);

  const { path } = fixture.init('x.git');
  assert.notEqual(await lastWrite(), 0);

  rmSync(path, { recursive: true });
  assert.equal(await lastWrite(), 0);
  writeFileSync(path, '');
  assert.equal(await lastWrite(), 0);
});

test('paths out of the storage were never written', async () => {
  await using fixture = await StorageFixture.create();
  const lastWrites = new LastWrites(fixture.storages);

  assert.deepEqual(await lastWrites.of('default', ['../default', '']), [0, 0]);
});

// A page of a hundred repositories took 20 ms of CPU time, most of it in the thread pool.
test('a repository that was read lately is read again without the thread pool', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git');
  const lastWrite = reader(fixture);
  await lastWrite();
  age(path);

  let time: number | undefined;
  void lastWrite().then((read) => {
    time = read;
  });
  for (let step = 0; step < 100 && time === undefined; step++) await undefined; // no event arrives meanwhile

  assert.equal(time, OLD.getTime());
});
