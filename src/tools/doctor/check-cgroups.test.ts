import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configFrom, type GitalyConfig } from '#platform/config/load-config';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { checkCgroups } from './check-cgroups.ts';

/** A directory laid out like a mount point of version 1. */
function mountpoint() {
  const path = makeScratchDirectory('cgroupfs');
  for (const controller of ['memory', 'cpu']) mkdirSync(join(path, controller));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function configOf(cgroups: Readonly<Record<string, unknown>>): GitalyConfig {
  return configFrom({ listen_addr: ':0', storage: [{ name: 'a', path: '/tmp' }], cgroups });
}

function findings(cgroups: Readonly<Record<string, unknown>>) {
  return [...checkCgroups(configOf(cgroups))];
}

test('a server without control groups has no finding, and limits without groups are a warning', () => {
  assert.deepEqual(findings({}), []);
  assert.deepEqual(
    findings({ memory_bytes: 1 }).map(({ level }) => level),
    ['warning'],
  );
});

test('groups are created and removed again', () => {
  using root = mountpoint();

  const [finding] = findings({ mountpoint: root.path, repositories: { count: 1 } });

  assert.equal(finding?.level, 'ok');
  assert.match(finding?.message ?? '', /^version 1, groups can be created in gitaly$/);
  assert.equal(existsSync(join(root.path, 'memory/gitaly', `gitaly-${process.pid}`, 'repos-0')), false);
});

test('a place without control groups is an error with a fix', () => {
  using root = mountpoint();

  const config = configOf({ mountpoint: root.path, repositories: { count: 1 } });
  const cgroups = { ...config.cgroups, mountpoint: join(root.path, 'none') };

  const [finding] = checkCgroups({ ...config, cgroups });

  assert.equal(finding?.level, 'error');
  assert.match(finding?.fix ?? '', /Set mountpoint/);
});
