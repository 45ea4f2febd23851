import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { archiveTree } from './archive-tree.ts';

const { signal } = new AbortController();

function scratch(context: TestContext): string {
  const directory = makeScratchDirectory('archive');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function archive(path: string, name = 'top'): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(archiveTree(path, { name, signal })));
}

/** Lists an archive as the tar program does: mode, size, time, name. */
function list(input: Buffer): string[] {
  const args = ['-tvf', '-', '--numeric-owner', '--full-time', '--utc'];
  const lines = execFileSync('tar', args, { input, encoding: 'utf8' }).split('\n').filter(Boolean);
  return lines.map((line) => line.replace(/^(\S+) \S+ +(\d+) /, '$1 $2 '));
}

test('a tree is what the tar program reads, in the order of names', async (context) => {
  const root = join(scratch(context), 'tree');
  mkdirSync(join(root, 'b/empty'), { recursive: true });
  writeFileSync(join(root, 'b/script'), '#!/bin/sh\n');
  chmodSync(join(root, 'b/script'), 0o500);
  writeFileSync(join(root, 'a'), 'x'.repeat(300_000));
  chmodSync(join(root, 'a'), 0o400);
  writeFileSync(join(root, 'c'), '');
  chmodSync(join(root, 'c'), 0o644);
  symlinkSync('../nowhere', join(root, 'link'));
  execFileSync('mkfifo', [join(root, 'pipe')]);
  for (const name of ['a', 'b/script', 'c', 'b/empty', 'b', '.'])
    utimesSync(join(root, name), 1_600_000_000, 1_600_000_000);
  chmodSync(join(root, 'b'), 0o700);

  const bytes = await archive(root);

  const time = '2020-09-13 12:26:40';
  assert.deepEqual(
    list(bytes).map((line) => (line.startsWith('l') ? line.replace(/\d{4}-\S+ \S+ /, '') : line)),
    [
      `drwxrwxrwx 0 ${time} top/`,
      `-rw-rw-rw- 300000 ${time} top/a`,
      `drwxrwxrwx 0 ${time} top/b/`,
      `drwxrwxrwx 0 ${time} top/b/empty/`,
      `-rwxrwxrwx 10 ${time} top/b/script`,
      `-rw-rw-rw- 0 ${time} top/c`,
      'lrwxrwxrwx 0 top/link -> ../nowhere',
    ],
  );
  const content = execFileSync('tar', ['-xOf', '-', 'top/a'], { input: bytes, maxBuffer: 1e6 });
  assert.equal(content.toString(), 'x'.repeat(300_000));
  assert.equal(bytes.length % 512, 0);
});

test('a single file is an archive of its own, and nothing is none', async (context) => {
  const root = scratch(context);
  writeFileSync(join(root, 'file'), 'content');

  assert.match(list(await archive(join(root, 'file'), 'name'))[0] ?? '', /^-rw-rw-rw- 7 .* name$/);
  assert.equal((await archive(join(root, 'absent'))).length, 0);
});

test('an abort ends the archive within a file and between files', async (context) => {
  const root = scratch(context);
  for (const name of ['a', 'b']) writeFileSync(join(root, name), Buffer.alloc(300_000));
  const reason = new Error('enough');
  for (const pieces of [2, 6]) {
    const controller = new AbortController();
    const reading = archiveTree(root, { name: 'top', signal: controller.signal });
    for (let piece = 0; piece < pieces; piece++) await reading.next();

    controller.abort(reason);

    await assert.rejects(reading.next(), reason);
  }
});

test('a file that becomes shorter is an error, and not filled up', async (context) => {
  const file = join(scratch(context), 'file');
  writeFileSync(file, Buffer.alloc(300_000));
  const reading = archiveTree(file, { name: 'top', signal });
  await reading.next();
  await reading.next();

  writeFileSync(file, '');

  await assert.rejects(Array.fromAsync(reading), { message: 'a file has become shorter' });
});
