import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { linkMember } from './link-member.ts';
import { openPool } from './open-pool.ts';
import { poolOfMember } from './pool-of-member.ts';

const POOL = { storageName: 'default', relativePath: `@pools/4e/07/4e07${'0'.repeat(60)}.git` };

const { signal } = new AbortController();

test('the pool of a member is the first of its alternates', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const pool = fixture.init(POOL.relativePath);
  const member = fixture.init('member.git');
  assert.equal(await poolOfMember(storages, member), undefined);

  await linkMember(pool, member, { borrowers: storages.borrowers, signal });

  assert.deepEqual(await poolOfMember(storages, member), POOL);
});

test('alternates that are no pool of the storage are refused', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const member = fixture.init('member.git');
  fixture.init('other.git');
  const linkTo = (line: string) => writeFileSync(`${member.path}/objects/info/alternates`, `${line}\n`);
  mkdirSync(`${member.path}/objects/info`, { recursive: true });
  const NO_OBJECTS = 'alternates do not name the objects of a repository';

  for (const [line, code, message] of [
    [`../../${POOL.relativePath}/refs`, 'INVALID_ARGUMENT', NO_OBJECTS],
    [`../../../second/${POOL.relativePath}/objects`, 'INVALID_ARGUMENT', NO_OBJECTS],
    ['../../other.git/objects', 'INVALID_ARGUMENT', 'invalid object pool directory'],
    [
      `../../${POOL.relativePath}/objects`,
      'FAILED_PRECONDITION',
      'object pool is not a valid git repository',
    ],
  ] as const) {
    linkTo(line);
    await assert.rejects(poolOfMember(storages, member), { code, message }, line);
  }
});

test('a pool is opened only at the path of a pool', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const pool = fixture.init(POOL.relativePath);
  fixture.init('other.git');

  assert.equal(openPool(storages, POOL).path, pool.path);
  assert.throws(() => openPool(storages, { ...POOL, relativePath: 'other.git' }), {
    code: 'INVALID_ARGUMENT',
    message: 'invalid object pool directory',
  });
  assert.throws(() => openPool(storages, undefined), { code: 'INVALID_ARGUMENT' });
});
