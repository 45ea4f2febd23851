import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { askForRefs } from './ask-for-refs.ts';

const path = makeScratchDirectory('ask');
initRepository(path, { commits: 1 });
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(path, { recursive: true });
});
const run = (...args: string[]): string => gitOutput(path, args);
const main = run('rev-parse', 'main');
run('tag', '-a', '-m', 'x', 'v1', 'main');
run('tag', '-a', '-m', 'x', 'v2', 'v1');
run('tag', 'light', 'main');
const ALL = ['refs/heads/main', 'refs/tags/light', 'refs/tags/v1', 'refs/tags/v2'];

for (const peel of [true, false]) {
  test(`references come as git has them, peeled: ${peel}`, async () => {
    const ask = askForRefs(git.open(path), { patterns: ['refs/'] }, { peel });

    const refs = (await Array.fromAsync(ask())).flat();

    assert.deepEqual(
      refs.map(({ name, ...ref }) => ({ name: name.toString(), ...ref })),
      ALL.map((name) => ({
        name,
        oid: run('rev-parse', name),
        peeledOid: peel && name.includes('/v') ? main : undefined,
        isPeelKnown: peel,
      })),
    );
  });
}

test('names up to one are skipped', async () => {
  const ask = askForRefs(git.open(path), { patterns: ['refs/'] }, {});

  for (const [after, names] of [
    ['refs/heads/main', ALL.slice(1)],
    ['refs/tags/m', ALL.slice(2)],
    ['refs/tags/v2', []],
  ] as const)
    assert.deepEqual(
      (await Array.fromAsync(ask(Buffer.from(after)))).flat().map(({ name }) => name.toString()),
      names,
    );
});
