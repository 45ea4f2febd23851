import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, watch, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { ObjectWriter } from '#git/objects/write/write-objects';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import type { Repository } from '../repository.ts';
import { Quarantine } from './quarantine.ts';

async function writeBlobs(repository: Repository, count: number): Promise<string[]> {
  await using writer = new ObjectWriter(repository, repository.objectFormat);
  const oids: string[] = [];
  for (let number = 0; number < count; number++)
    oids.push(await writer.write('blob', Buffer.from(`blob ${number}`)));
  await writer.finish();
  return oids;
}

test('objects in a quarantine are seen through it and nowhere else, until they are dropped', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  let oid = '';
  {
    await using quarantine = await Quarantine.create(repository);
    [oid = ''] = await writeBlobs(quarantine.repository, 1);

    assert.equal((await quarantine.repository.objects.info(oid))?.type, 'blob');
    assert.equal((await quarantine.repository.objects.info('main'))?.type, 'commit');
    assert.equal(await repository.objects.info(oid), undefined);
    assert.equal(existsSync(quarantine.repository.objectDirectory), true);
  }

  assert.equal(await repository.objects.info(oid), undefined);
  assert.deepEqual(readdirSync(`${fixture.storage.path}/+gitaly/tmp`), []);
});

test('a client that gets the path of a quarantine can read in it', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  await using quarantine = await Quarantine.create(repository);
  const [oid = ''] = await writeBlobs(quarantine.repository, 1);

  const { target } = quarantine.repository;
  const opened = fixture.storages.open(target);

  assert.match(
    target.gitObjectDirectory ?? '',
    /^\.\.\/\+gitaly\/tmp\/quarantine-[0-9a-f]{16}-\d+\.[0-9a-f]{8}\.\d+\.\d+$/,
  );
  assert.deepEqual(target.gitAlternateObjectDirectories, ['objects']);
  assert.equal((await opened.objects.info(oid))?.type, 'blob');
  assert.equal((await opened.objects.info('main'))?.type, 'commit');
});

for (const count of [3, 300]) {
  test(`${count} objects become part of the repository, and the quarantine is gone`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 1 });
    await using quarantine = await Quarantine.create(repository);
    const oids = await writeBlobs(quarantine.repository, count);

    await quarantine.migrate();

    const listed = fixture
      .runGit(repository.path, ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'])
      .split('\n');
    assert.deepEqual(
      oids.filter((oid) => !listed.includes(oid)),
      [],
    );
    assert.equal(fixture.runGit(repository.path, ['fsck', '--strict', '--no-dangling']), '');
    assert.equal(existsSync(quarantine.repository.objectDirectory), false);
    assert.equal((await repository.objects.info(oids.at(-1) ?? ''))?.type, 'blob');
  });
}

test('an object that the repository has already stays the file it is', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await using quarantine = await Quarantine.create(repository);
  const directory = `${repository.path}/objects/aa`;
  for (const place of [directory, `${quarantine.repository.objectDirectory}/aa`]) {
    mkdirSync(place);
    writeFileSync(`${place}/bb`, place);
  }
  const { ino } = statSync(`${directory}/bb`);

  await quarantine.migrate();

  assert.equal(statSync(`${directory}/bb`).ino, ino);
});

test('a quarantine whose objects are in the repository has nothing to drop', async () => {
  await using fixture = await StorageFixture.create();
  const quarantine = await Quarantine.create(fixture.init('x.git'));
  await writeBlobs(quarantine.repository, 1);
  await quarantine.migrate();
  const { objectDirectory } = quarantine.repository;
  assert.equal(existsSync(objectDirectory), false);
  mkdirSync(objectDirectory); // of another call

  await quarantine[Symbol.asyncDispose]();

  assert.equal(existsSync(objectDirectory), true);
});

test('a pack is in its place before the index through which it is found', async (context) => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const target = `${repository.path}/objects/pack`;
  const seen: (string | null)[] = [];
  // The kernel reports the names in the order in which they appear.
  const watcher = watch(target, (_, name) => seen.push(name));
  context.after(() => watcher.close());
  await using quarantine = await Quarantine.create(repository);
  const names = ['keep', 'pack', 'rev', 'idx'].map((suffix) => `pack-1.${suffix}`);
  const source = `${quarantine.repository.objectDirectory}/pack`;
  mkdirSync(source);
  for (const name of names.toSorted()) writeFileSync(`${source}/${name}`, '');

  await quarantine.migrate();

  await until(
    () => seen.length >= names.length,
    () => seen.join(),
  );
  assert.deepEqual(seen, names);
});

test('a quarantine in a quarantine hands its objects to the outer one', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  await using outer = await Quarantine.create(repository);
  const [first = ''] = await writeBlobs(outer.repository, 1);
  await using inner = await Quarantine.create(outer.repository);
  const [, second = ''] = await writeBlobs(inner.repository, 2);
  assert.equal((await inner.repository.objects.info(first))?.type, 'blob');

  await inner.migrate();

  assert.equal((await outer.repository.objects.info(second))?.type, 'blob');
  assert.equal(await repository.objects.info(second), undefined);
});
