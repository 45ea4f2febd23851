import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { mountSmall, refusal, unmount } from './small-disk.ts';

// git skips a hook that it cannot execute: pushes would be accepted without any check.
test('a server whose hooks cannot be executed does not start', { skip: refusal() }, async () => {
  using stack = new DisposableStack();
  const directory = stack.adopt(makeScratchDirectory('noexec'), (path) => rmSync(path, { recursive: true }));
  assert.equal(mountSmall(directory, 64 * 1024 ** 2, 'noexec'), undefined);
  stack.defer(() => unmount(directory));

  await assert.rejects(async () => {
    await using _gitaly = await startGitaly({ config: { runtime_dir: directory } });
  }, /git cannot run hooks in .*: mount its file system without noexec, or set another runtime_dir/);
});
