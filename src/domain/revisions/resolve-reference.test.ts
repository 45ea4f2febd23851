import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { resolveReference } from './resolve-reference.ts';

const { signal } = new AbortController();

test('names of references are resolved as git resolves them, also those that no reference has', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 2 });
  const { path } = repository;
  const git = (...args: string[]): string => fixture.runGit(path, args);
  const short = git('rev-parse', '--short', 'main');
  for (const name of ['refs/heads/refs/heads/head', 'refs/tags/refs/heads/tag', 'refs/refs/heads/below'])
    git('update-ref', name, 'main');
  for (const name of ['refs/remotes/refs/heads/remote', 'refs/remotes/refs/heads/far/HEAD'])
    git('update-ref', name, 'main~1');
  git('symbolic-ref', 'refs/heads/dangling', 'refs/heads/nowhere');
  git('symbolic-ref', 'refs/remotes/refs/heads/dangling-too/HEAD', 'refs/heads/nowhere');
  writeFileSync(join(path, 'refs/heads/broken'), 'broken\n');

  const names = [
    'main',
    'head',
    'tag',
    'below',
    'remote',
    'far',
    'dangling',
    'dangling-too',
    'broken',
    'none',
  ];
  const described = [`v1-2-g${short}`, `v1-2-G${short}`, `-g${short}`, 'v1-2-g1234567', `x-g${short}x`];
  const found: Record<string, string | undefined> = {};
  const expected: typeof found = {};
  for (const name of [...names, ...described].map((each) => `refs/heads/${each}`)) {
    found[name] = await resolveReference(repository, Buffer.from(name), { signal });
    const { status, stdout } = spawnSync('git', ['-C', path, 'rev-parse', '--verify', '--quiet', name]);
    expected[name] = status === 0 ? stdout.toString().trim() : undefined;
  }

  assert.deepEqual(found, expected);
  // Newer versions of git take less for a name of git describe.
  assert.ok(Object.values(expected).filter((oid) => oid !== undefined).length >= 7);
});
