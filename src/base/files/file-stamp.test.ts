import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileStamp, isSettled, NO_FILE, stampOf } from './file-stamp.ts';

const directory = mkdtempSync(join(tmpdir(), 'file-stamp-'));
after(() => rmSync(directory, { recursive: true }));

/** More than a tick of the clock that Linux uses for file times. */
const TICK_MS = 20;

const CHANGES: Readonly<Record<string, (path: string) => void>> = {
  'is appended to': (path) => appendFileSync(path, 'x'),
  'is written over with as many bytes': (path) => writeFileSync(path, '0123'),
  'gets other permissions': (path) => chmodSync(path, 0o600),
  'is written over and has its time set back': (path) => {
    const { atime, mtime } = statSync(path);
    writeFileSync(path, '0123');
    utimesSync(path, atime, mtime);
  },
  'is replaced by a copy with the same time': (path) => {
    const { atime, mtime } = statSync(path);
    copyFileSync(path, `${path}.lock`);
    utimesSync(`${path}.lock`, atime, mtime);
    renameSync(`${path}.lock`, path);
  },
  'is removed': (path) => rmSync(path),
};

for (const [index, [name, change]] of Object.entries(CHANGES).entries()) {
  test(`the stamp changes when a file ${name}, and not before`, async () => {
    const path = join(directory, `changed-${index}`);
    writeFileSync(path, 'abcd');
    const stamp = fileStamp(path);
    await delay(TICK_MS);
    assert.equal(fileStamp(path), stamp);

    change(path);

    assert.notEqual(fileStamp(path), stamp);
  });
}

test('the stamp of a directory changes with its entries', async () => {
  const path = join(directory, 'entries');
  mkdirSync(path);
  const stamp = stampOf(statSync(path));
  await delay(TICK_MS);

  writeFileSync(join(path, 'new'), '');

  assert.notEqual(stampOf(statSync(path)), stamp);
});

test('a symbolic link has the stamp of its target, and a dangling one has none', () => {
  writeFileSync(join(directory, 'target'), 'x');
  symlinkSync('target', join(directory, 'link'));

  assert.equal(fileStamp(join(directory, 'link')), fileStamp(join(directory, 'target')));
  rmSync(join(directory, 'target'));
  assert.equal(fileStamp(join(directory, 'link')), NO_FILE);
});

test('a path through a file has no stamp, and a link loop is an error', () => {
  writeFileSync(join(directory, 'file'), '');
  symlinkSync('loop', join(directory, 'loop'));

  assert.equal(fileStamp(join(directory, 'file/below')), NO_FILE);
  assert.throws(() => fileStamp(join(directory, 'loop')), { code: 'ELOOP' });
});

test('a recently written file is not settled, because two changes may have the same stamp', async () => {
  const path = join(directory, 'racy');
  writeFileSync(path, '0000');
  const stats = statSync(path);

  assert.equal(isSettled(stats, stats.ctimeMs), false);
  assert.equal(isSettled(stats, stats.ctimeMs + 1_999), false);
  assert.equal(isSettled(stats, stats.ctimeMs + 2_000), true);

  // Equal stamps occur only in files that are too young.
  for (let round = 0; round < 100; round++) {
    writeFileSync(path, String(round).padStart(4, '0'));
    assert.equal(isSettled(statSync(path), Date.now()), false);
  }
});

test('setting the modification time back does not make a file settled', () => {
  const path = join(directory, 'old');
  writeFileSync(path, '');
  utimesSync(path, 1, 1);

  assert.equal(isSettled(statSync(path), Date.now()), false);
});
