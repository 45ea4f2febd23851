import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { allowsPrograms, makeTemporaryDirectory, removeOld } from './temporary-directory.ts';

test('what tests leave in the temporary directory is named when it is removed', () => {
  const directory = makeTemporaryDirectory();
  mkdirSync(join(directory.path, 'gitaly-left/deep'), { recursive: true });

  assert.deepEqual(directory.remove(), ['gitaly-left']);
});

test('directories of killed runs are removed after an hour, and nothing else', () => {
  const directory = makeTemporaryDirectory();
  mkdirSync(join(directory.path, 'tests-abcdef/deep'), { recursive: true });
  mkdirSync(join(directory.path, 'others'));

  removeOld(directory.path, Date.now() + 59 * 60_000);
  assert.deepEqual(readdirSync(directory.path).sort(), ['others', 'tests-abcdef']);
  removeOld(directory.path, Date.now() + 61 * 60_000);
  assert.deepEqual(directory.remove(), ['others']);
});

for (const [line, expected] of [
  ['tmpfs /dev/shm tmpfs rw,nosuid,nodev 0 0', true],
  ['shm /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k 0 0', false],
  ['tmpfs /dev/shm tmpfs ro 0 0', false],
  ['/dev/sda1 /dev/shm ext4 rw 0 0', false],
  ['tmpfs /dev/shm/other tmpfs rw 0 0', false],
] as const) {
  test(`a mount is ${expected ? '' : 'not '}used for tests: ${line}`, () => {
    assert.equal(allowsPrograms(`proc /proc proc rw 0 0\n${line}\n`), expected);
  });
}
