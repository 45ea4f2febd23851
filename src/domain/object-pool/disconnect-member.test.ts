import assert from 'node:assert/strict';
import { appendFileSync, existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { voteHash } from '#storage/lifecycle/voter';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { MaintenanceRuns } from '../housekeeping/maintenance-runs.ts';
import { disconnectMember } from './disconnect-member.ts';
import { linkMember } from './link-member.ts';

const { signal } = new AbortController();
const NAMES = ['migrate objects', 'disconnect alternate', 'no alternates'];

/** Starts with a member of a pool. @returns what is done at each vote, and the votes. */
async function start() {
  const fixture = await StorageFixture.create();
  const pool = fixture.init(`@pools/4e/07/4e07${'0'.repeat(60)}.git`, { commits: 1 });
  const member = fixture.init('member.git');
  await linkMember(pool, member, { borrowers: fixture.storages.borrowers, signal });
  const names = new Map(NAMES.map((name) => [voteHash(name).toString('hex'), name]));
  const votes: string[] = [];
  const at: Record<string, () => void> = {};
  const vote = async (phase: string, hash: Uint8Array): Promise<void> => {
    const name = `${names.get(Buffer.from(hash).toString('hex'))}: ${phase}`;
    votes.push(name);
    at[name]?.();
  };
  const maintenance = new MaintenanceRuns();
  const leave = () => disconnectMember(member, { maintenance, vote, signal });
  const file = `${member.path}/objects/info/alternates`;
  const addToPool = (text: string) => fixture.runGit(pool.path, ['hash-object', '-w', '--stdin'], text);
  /** Reports whether the member has an object without its pool. */
  const hasOwn = (oid: string) => existsSync(`${member.path}/objects/${oid.slice(0, 2)}/${oid.slice(2)}`);
  return { fixture, member, file, votes, at, maintenance, leave, addToPool, hasOwn };
}

test('a member leaves its pool in votes, and has its objects at each of them', async () => {
  const { fixture, member, file, votes, at, maintenance, leave, addToPool, hasOwn } = await start();
  await using _fixture = fixture;
  const first = addToPool('1');
  let second = '';
  let third = '';
  at['migrate objects: prepared'] = () => {
    assert.equal(maintenance.isRunning(member), true);
    assert.equal(hasOwn(first), false);
  };
  at['migrate objects: committed'] = () => {
    assert.equal(hasOwn(first), true);
    second = addToPool('2');
  };
  at['disconnect alternate: preparing'] = () => assert.equal(hasOwn(second), true);
  at['disconnect alternate: prepared'] = () => {
    assert.equal(existsSync(file), true);
    third = addToPool('3');
  };
  at['disconnect alternate: committed'] = () => {
    assert.equal(existsSync(file), false);
    assert.equal(hasOwn(third), true);
  };

  await leave();
  assert.deepEqual(votes, [
    'migrate objects: preparing',
    'migrate objects: prepared',
    'migrate objects: committed',
    'disconnect alternate: preparing',
    'disconnect alternate: prepared',
    'disconnect alternate: committed',
  ]);
  assert.equal(maintenance.isRunning(member), false);

  votes.length = 0;
  await leave();
  assert.deepEqual(votes, ['no alternates: synchronized']);
});

test('two calls at once make a member independent once', async () => {
  const { fixture, file, votes, leave } = await start();
  await using _fixture = fixture;

  await Promise.all([leave(), leave()]);

  assert.equal(existsSync(file), false);
  assert.equal(globSync(`${file}.*`).length, 1);
  assert.equal(votes.at(-1), 'no alternates: synchronized');
});

test('a member whose last vote is lost is a member again', async () => {
  const { fixture, file, at, leave } = await start();
  await using _fixture = fixture;
  const before = readFileSync(file, 'utf8');
  at['disconnect alternate: committed'] = () => {
    throw new Error('vote lost');
  };

  await assert.rejects(leave(), { message: 'vote lost' });

  assert.equal(readFileSync(file, 'utf8'), before);
  assert.equal(globSync(`${file}.*`).length, 1);
});

test('a member of two pools, and alternates that are a file, are refused', async () => {
  const { fixture, file, leave } = await start();
  await using _fixture = fixture;
  const before = readFileSync(file, 'utf8');
  appendFileSync(file, '\n../../other.git/objects\n');
  await assert.rejects(leave(), { code: 'INTERNAL', message: 'multiple alternate object directories' });

  writeFileSync(file, '../HEAD\n');
  await assert.rejects(leave(), {
    code: 'INTERNAL',
    message: 'alternate object entry is not a directory',
  });

  writeFileSync(file, before);
  await leave();
  assert.equal(existsSync(file), false);
});
