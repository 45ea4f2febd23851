// Own process: it replaces functions of node:fs before other modules keep them

import assert from 'node:assert/strict';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { observeFlushes } from '#testkit/measure/flushes';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { backUpAlternates } from './retire-alternates.ts';

const CONTENT = '../../pool.git/objects\n';

async function start() {
  const fixture = await StorageFixture.create();
  const member = fixture.init('member.git');
  const info = `${member.path}/objects/info`;
  mkdirSync(info, { recursive: true });
  writeFileSync(`${info}/alternates`, CONTENT);
  return { fixture, member, info, file: `${info}/alternates` };
}

test('the alternates of a repository are kept beside it when they are removed', async (context) => {
  const { fixture, member, info, file } = await start();
  await using _fixture = fixture;
  const before = Math.floor(Date.now() / 1000);

  const backup = await backUpAlternates(member);
  const [copy = ''] = globSync(`${file}.*`);
  const [, seconds] = /\.(\d+)\.[0-9a-f]{12}$/.exec(copy) ?? [];
  assert.ok(Number(seconds) >= before && Number(seconds) <= Date.now() / 1000, copy);
  assert.equal(readFileSync(file, 'utf8'), CONTENT);

  const events = await observeFlushes(context);
  await backup.retire();
  assert.equal(existsSync(file), false);
  assert.deepEqual(events, [`flush ${info}`]);

  events.length = 0;
  await backup.restore();
  assert.equal(readFileSync(file, 'utf8'), CONTENT);
  assert.equal(readFileSync(copy, 'utf8'), CONTENT);
  assert.deepEqual(events, [`link ${copy} ${copy}.2`, `move ${copy}.2 ${file}`, `flush ${info}`]);
});

test('alternates whose copy was deleted cannot be restored', async () => {
  const { fixture, member, file } = await start();
  await using _fixture = fixture;
  const backup = await backUpAlternates(member);
  await backup.retire();
  for (const copy of globSync(`${file}.*`)) rmSync(copy);

  await assert.rejects(backup.restore(), { code: 'ENOENT', syscall: 'link' });
});
