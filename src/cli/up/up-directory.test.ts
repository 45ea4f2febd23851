import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DirectoryInUseError, openUpDirectory } from './up-directory.ts';

function withTemporaryDirectory(work: (directory: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync(join(tmpdir(), 'up-test-'));
    try {
      await work(directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  };
}

test(
  'a directory is created, and afterwards contains only its repositories',
  withTemporaryDirectory(async (directory) => {
    const target = join(directory, 'new/data');
    {
      await using opened = await openUpDirectory(target);
      assert.equal(existsSync(opened.repositories), true);
      assert.equal(existsSync(opened.runtime), true);
    }

    assert.deepEqual(readdirSync(target), ['repositories']);
  }),
);

test(
  'a second start on the same directory names the running process',
  withTemporaryDirectory(async (directory) => {
    await using opened = await openUpDirectory(directory);
    opened.describe('http://127.0.0.1:8080');

    await assert.rejects(openUpDirectory(directory), (error: Error) => {
      assert.ok(error instanceof DirectoryInUseError);
      assert.match(
        error.message,
        new RegExp(`is in use: .* \\(process ${process.pid}, http://127.0.0.1:8080\\)`),
      );
      return true;
    });
  }),
);

test(
  'the lock of a killed process is taken over',
  withTemporaryDirectory(async (directory) => {
    writeFileSync(join(directory, 'up.lock'), '');

    await using opened = await openUpDirectory(directory);

    assert.equal(opened.path, directory);
  }),
);

test(
  'a long directory name works',
  withTemporaryDirectory(async (directory) => {
    const target = join(directory, 'x'.repeat(120));
    let sockets: string;
    {
      await using opened = await openUpDirectory(target);
      sockets = join(opened.socket, '..');
      assert.ok(Buffer.byteLength(opened.socket) < 100);
      await assert.rejects(openUpDirectory(target), DirectoryInUseError);
    }

    assert.equal(existsSync(sockets), false);
  }),
);

test(
  'a directory that cannot be created is refused with advice',
  withTemporaryDirectory(async (directory) => {
    const file = join(directory, 'file');
    writeFileSync(file, '');

    await assert.rejects(
      openUpDirectory(file),
      /^Error: .*file.*\. Choose a directory that you can write to\.$/,
    );
  }),
);
