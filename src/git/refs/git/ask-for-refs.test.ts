import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { askForRefs } from './ask-for-refs.ts';
import { maxCpuSecondsOf } from './for-each-ref.ts';

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

// Symptom: a request of 1 MiB kept a git busy for minutes, and the next one another.
test('many patterns have a limit of processor time, few have none', async () => {
  const patterns = Array.from({ length: 4_000 }, (_, index) => `refs/heads/*a*b*c-${index}`);
  const many = makeScratchDirectory('many-references');
  initRepository(many, { commits: 1 });
  const oid = gitOutput(many, ['rev-parse', 'main']);
  const names = Array.from({ length: 20_000 }, (_, index) => `refs/heads/b-${`${index}`.padStart(6, '0')}`);
  writePackedRefs(
    many,
    names.map((name) => `${oid} ${name}`),
  );
  const query = { patterns, pointsAt: [oid] };

  const listing = Array.fromAsync(askForRefs(git.open(many), query, { maxCpuSeconds: 0.3 })());

  await assert.rejects(listing, {
    code: 'RESOURCE_EXHAUSTED',
    message: /^git for-each-ref used more than 0.3 s/,
  });
  rmSync(many, { recursive: true });
  assert.equal(maxCpuSecondsOf(query), 30);
  assert.equal(maxCpuSecondsOf({ patterns: patterns.slice(0, 100), pointsAt: [oid] }), undefined);
});
