import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import { Page, Reader } from './reader.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROMTOOL = 'promtool';
const BACKUP = 'gitaly-backup';
const noBackup = spawnSync(BACKUP, ['--help']).error && 'there is no gitaly-backup';
const noPromtool = spawnSync(PROMTOOL, ['--version']).status !== 0 && 'there is no promtool';

/** Starts a reader whose directories and ports represent those of the pages. */
async function reader(): Promise<Reader> {
  const ports = { '9236': String(await freePort()), '9999': String(await freePort()) };
  return new Reader((directory) => ({
    ...Object.fromEntries(['/etc/', '/run/', '/var/'].map((path) => [path, `${directory}${path}`])),
    '"0.0.0.0:': '"127.0.0.1:',
    '$(npm root --global)/gitaly-ts': ROOT,
    ...ports,
  }));
}

test('a server as docs/production.md makes it serves, is monitored and is upgraded', async (context) => {
  await using someone = await reader();

  const proof = await someone.follow(new Page('docs/production.md'));
  const look = await someone.follow(new Page('docs/monitoring.md'), noPromtool ? /^promtool/m : undefined);
  const upgraded = await someone.follow(new Page('docs/upgrade.md'));

  assert.match(proof, /^First$/m);
  assert.match(look, /^gitlab_build_info\{/m);
  assert.match(upgraded, /^gitlab_build_info\{/m);
  assert.match(someone.log(), /Upgrade succeeded/);
  await context.test('promtool accepts configuration and rules', { skip: noPromtool }, () => {
    assert.match(look, /SUCCESS: \d+ rules found/);
  });
});

test('a backup by gitaly-backup as in docs/backup.md can be restored', {
  skip: noBackup,
}, async () => {
  await using someone = await reader();
  await someone.follow(new Page('docs/production.md'));

  await someone.follow(new Page('docs/backup.md'));

  assert.equal(await someone.type('git --git-dir /var/lib/gitaly/first.git log --format=%s main'), 'First\n');
});
