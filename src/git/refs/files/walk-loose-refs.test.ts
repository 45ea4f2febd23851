import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { FallBackToGit } from '#git/in-process';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { walkLooseRefs } from './walk-loose-refs.ts';

const path = makeScratchDirectory('walk');
after(() => rmSync(path, { recursive: true }));
mkdirSync(`${path}/refs/heads/deep`, { recursive: true });
for (const name of ['refs/heads/a', 'refs/heads/deep/b', 'refs/x'])
  writeFileSync(`${path}/${name}`, `${'1'.repeat(40)}\n`);

test('as many entries are read as are allowed, and one more is left to git', async () => {
  const options = { prefix: Buffer.from('refs/'), follow: () => undefined, skipsBadNames: true };

  // Three files and two directories.
  const refs = await walkLooseRefs(path, { ...options, maxEntries: 5 });
  assert.deepEqual(
    refs.map(({ name }) => name.toString()),
    ['refs/heads/a', 'refs/heads/deep/b', 'refs/x'],
  );
  await assert.rejects(walkLooseRefs(path, { ...options, maxEntries: 4 }), FallBackToGit);
});

test('a directory that vanished, or became a file, has no references', async () => {
  const walk = (prefix: string) =>
    walkLooseRefs(path, {
      prefix: Buffer.from(prefix),
      follow: () => undefined,
      skipsBadNames: true,
      maxEntries: 5,
    });

  assert.deepEqual(await walk('refs/gone/'), []);
  assert.deepEqual(await walk('refs/x/'), []);
});
