import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findCustomHooks, hasCustomHooks } from './custom-hook-files.ts';

async function tempDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'custom-hooks-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

async function script(path: string, mode = 0o755): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, '#!/bin/sh\n');
  await chmod(path, mode);
}

test('scripts of the repository come before the global ones, by the bytes of their names', async (t) => {
  const root = await tempDirectory(t);
  const names = [
    'r/custom_hooks/update',
    'r/custom_hooks/update.d/b',
    'r/custom_hooks/update.d/Z',
    'g/update.d/2',
    'g/update.d/10',
  ];
  for (const name of names) await script(join(root, name));

  const found = await findCustomHooks(join(root, 'r'), join(root, 'g'), 'update');

  assert.deepEqual(
    found.map((path) => relative(root, path)),
    [
      'r/custom_hooks/update',
      'r/custom_hooks/update.d/Z',
      'r/custom_hooks/update.d/b',
      'g/update.d/10',
      'g/update.d/2',
    ],
  );
});

test('backups, directories, non-executable files and dangling links are no hooks', async (t) => {
  const root = await tempDirectory(t);
  const directory = join(root, 'custom_hooks/pre-receive.d');
  await script(join(directory, 'backup~'));
  await script(join(directory, 'text'), 0o644);
  await mkdir(join(directory, 'folder'));
  await script(join(root, 'elsewhere'));
  await symlink('nowhere', join(directory, 'dangling'));
  await symlink(join(root, 'elsewhere'), join(directory, 'link'));

  assert.deepEqual(await findCustomHooks(root, '', 'pre-receive'), [join(directory, 'link')]);
});

test('without custom hooks there are none, and a file in place of a directory is an error', async (t) => {
  const root = await tempDirectory(t);
  assert.deepEqual(await findCustomHooks(root, join(root, 'none'), 'post-receive'), []);
  assert.equal(await hasCustomHooks(root, join(root, 'none'), 'post-receive'), false);

  for (const file of ['custom_hooks/post-receive.d', 'custom_hooks']) {
    await rm(join(root, 'custom_hooks'), { recursive: true, force: true });
    await script(join(root, file));

    // An unreadable directory of hooks refuses the push: the operator meant the hooks to run.
    await assert.rejects(findCustomHooks(root, '', 'post-receive'), {
      message: `creating custom hooks executor: open ${root}/custom_hooks/post-receive.d: not a directory`,
    });
    assert.equal(await hasCustomHooks(root, '', 'post-receive'), true);
  }
});
