import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeDirectory } from './make-directory.ts';

const root = mkdtempSync(join(tmpdir(), 'make-directory-'));
after(() => rmSync(root, { recursive: true }));

test('missing parent directories get the same mode; an existing directory is unchanged', async () => {
  const path = join(root, 'a/b');

  await makeDirectory(path, { mode: 0o700 });
  await makeDirectory(path, { mode: 0o755 });

  assert.deepEqual([statSync(path).mode & 0o777, statSync(join(root, 'a')).mode & 0o777], [0o700, 0o700]);
});

test('a file in its place is an error', async () => {
  writeFileSync(join(root, 'file'), '');

  await assert.rejects(makeDirectory(join(root, 'file')), { code: 'EEXIST' });
  await assert.rejects(makeDirectory(join(root, 'file/below/it')), { code: 'ENOTDIR' });
});

// `gitaly-ts up /proc/nope` hung: Node's recursive mkdir takes ENOENT for a missing parent, over
// and over.
test('a file system that cannot hold directories is an error', {
  skip: process.platform !== 'linux' && '/proc is part of Linux',
}, async () => {
  await assert.rejects(makeDirectory('/proc/nope/below'), { code: 'ENOENT', path: '/proc/nope' });
});
