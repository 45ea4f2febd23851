import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { npm, offline, ROOT, succeeded } from './registry.ts';

const directory = makeScratchDirectory('git-url');
const skip = await offline();
after(() => rmSync(directory, { recursive: true, force: true }));

test('a git URL installs: the clone builds itself', { skip }, async () => {
  const clone = join(directory, 'clone');
  const folder = join(directory, 'project');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  // The files as they are here, and not as in the last commit.
  const git = (...args: string[]) =>
    succeeded('git', ['--git-dir', join(clone, '.git'), '--work-tree', ROOT, ...args]);
  await succeeded('git', ['init', '--quiet', clone]);
  await git('add', '--', ':!test', ':!bench', '.');
  await git('-c', 'user.name=A', '-c', 'user.email=a@b', 'commit', '--quiet', '--message', 'a release');

  await npm(folder, 'install', '--no-audit', '--no-fund', `git+file://${clone}`);

  const program = join(folder, 'node_modules/.bin/gitaly-ts');
  assert.match(await succeeded(program, ['--version'], folder), /^gitaly-ts, version \d/);
});
