import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { voteHash } from '#storage/lifecycle/voter';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { linkMember } from './link-member.ts';

const { signal } = new AbortController();
const POOL_PATH = `@pools/4e/07/4e07${'0'.repeat(60)}.git`;

async function start() {
  const fixture = await StorageFixture.create();
  const pool = fixture.init(POOL_PATH);
  const member = fixture.init('group/member.git');
  const votes: string[] = [];
  const vote = async (phase: string, hash: Uint8Array): Promise<void> => {
    votes.push(`${phase} ${Buffer.from(hash).toString('hex')}`);
  };
  const link = () => linkMember(pool, member, { borrowers: fixture.storages.borrowers, vote, signal });
  return { fixture, pool, member, votes, link, file: `${member.path}/objects/info/alternates` };
}

const hashOf = (text: string): string => voteHash(text).toString('hex');

test('a member gets relative alternates, on which a cluster votes; linking again has one vote', async () => {
  const { fixture, file, votes, link } = await start();
  await using _fixture = fixture;
  const line = `../../../${POOL_PATH}/objects`;

  await link();
  assert.equal(readFileSync(file, 'utf8'), line);
  assert.equal(statSync(file).mode & 0o777, 0o644);
  assert.deepEqual(votes, [
    `preparing ${hashOf('preparing commit locked file')}`,
    `prepared ${hashOf(line)}`,
    `committed ${hashOf(line)}`,
  ]);

  votes.length = 0;
  await link();
  assert.deepEqual(votes, [`synchronized ${hashOf('repository linked')}`]);
});

test('an absolute path of the same pool becomes a relative one', async () => {
  const { fixture, pool, file, link } = await start();
  await using _fixture = fixture;
  writeFileSync(file, `${pool.path}/./objects\n`);

  await link();

  assert.equal(readFileSync(file, 'utf8'), `../../../${POOL_PATH}/objects`);
});

test('a member of another pool is not linked', async () => {
  const { fixture, file, link } = await start();
  await using _fixture = fixture;
  writeFileSync(file, '../../other.git/objects\n');

  await assert.rejects(link(), {
    code: 'INTERNAL',
    message: 'unexpected alternates content: "../../other.git/objects"',
  });

  assert.equal(readFileSync(file, 'utf8'), '../../other.git/objects\n');
});

test('alternates that another writer has locked are not changed', async () => {
  const { fixture, file, link } = await start();
  await using _fixture = fixture;
  writeFileSync(`${file}.lock`, '');

  await assert.rejects(link(), { message: /^committing alternates: locking file: / });

  assert.equal(existsSync(file), false);
});

test('the bitmaps of a member go when the pool has some', async () => {
  const { fixture, pool, member, link } = await start();
  await using _fixture = fixture;
  const packOf = ({ path }: { path: string }, name: string) => `${path}/objects/pack/${name}`;
  for (const name of ['pack-1.bitmap', 'pack-1.pack', 'multi-pack-index-1.bitmap'])
    writeFileSync(packOf(member, name), '');

  await link();
  assert.equal(existsSync(packOf(member, 'pack-1.bitmap')), true, 'the pool has none');

  rmSync(`${member.path}/objects/info/alternates`);
  writeFileSync(packOf(pool, 'pack-2.bitmap'), '');
  await link();
  assert.equal(existsSync(packOf(member, 'pack-1.bitmap')), false);
  assert.equal(existsSync(packOf(member, 'pack-1.pack')), true);
  assert.equal(existsSync(packOf(member, 'multi-pack-index-1.bitmap')), true);
  assert.equal(existsSync(packOf(pool, 'pack-2.bitmap')), true);
});

test('a directory for the alternates is made; a link in its place is reported', async () => {
  const { fixture, member, file, link } = await start();
  await using _fixture = fixture;
  rmSync(`${member.path}/objects/info`, { recursive: true });
  symlinkSync('nowhere', `${member.path}/objects/info`);
  await assert.rejects(link(), { code: 'ENOENT', syscall: 'stat' });

  rmSync(`${member.path}/objects/info`);
  await link();
  assert.equal(existsSync(file), true);
});

test('a pool without packs can be linked; a bitmap that cannot be removed is reported', async () => {
  const { fixture, pool, member, file, link } = await start();
  await using _fixture = fixture;
  rmSync(`${pool.path}/objects/pack`, { recursive: true });
  await link();

  rmSync(file);
  mkdirSync(`${pool.path}/objects/pack`);
  writeFileSync(`${pool.path}/objects/pack/pack-1.bitmap`, '');
  mkdirSync(`${member.path}/objects/pack/pack-1.bitmap`);
  await assert.rejects(link(), { syscall: 'unlink' });

  rmSync(file);
  rmSync(`${pool.path}/objects/pack`, { recursive: true });
  writeFileSync(`${pool.path}/objects/pack`, 'no directory');
  await assert.rejects(link(), { code: 'ENOTDIR' });
});
