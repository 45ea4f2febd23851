import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { trustedRefName } from '#git/names/ref-name';
import { gitOutput } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { createPackedRefs, type NewRef } from './create-packed-refs.ts';

const never = new AbortController().signal;

const refsOf = (names: readonly string[], oid: string): NewRef[] =>
  names.map((name) => ({ name: trustedRefName(Buffer.from(name)), oid, peeled: undefined }));

const listed = (path: string): string[] =>
  gitOutput(path, ['for-each-ref', '--format=%(refname)']).split('\n');

test('the file is what git would have written', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const { path } = repository;
  gitOutput(path, ['tag', '-a', '-m', 'x', 'v1', 'main']);
  gitOutput(path, ['pack-refs', '--all']);
  const [oid, tag] = ['main', 'v1'].map((name) => gitOutput(path, ['rev-parse', name]));
  const names = [
    'refs/heads/z',
    'refs/heads/a-b',
    'refs/heads/a/b',
    'refs/heads/a0',
    'refs/tags/v0',
    'refs/zz/x',
  ];
  const refs = refsOf(names, oid ?? '');
  const tagged = { name: trustedRefName(Buffer.from('refs/tags/v2')), oid: tag ?? '', peeled: oid };

  assert.equal(await createPackedRefs(repository, [...refs, tagged], never), true);

  const ours = readFileSync(`${path}/packed-refs`, 'latin1');
  assert.equal(existsSync(`${path}/refs/heads/a`), false, 'no directory is left');
  gitOutput(path, ['update-ref', 'refs/heads/loose', 'main']);
  gitOutput(path, ['update-ref', '-d', 'refs/heads/loose']);
  gitOutput(path, ['pack-refs', '--all']);
  assert.equal(ours, readFileSync(`${path}/packed-refs`, 'latin1'));
  assert.deepEqual(listed(path), ['refs/heads/main', ...names, 'refs/tags/v1', 'refs/tags/v2'].sort());
});

const IN_THE_WAY: Readonly<Record<string, (path: string) => void>> = {
  'a loose reference': (path) => gitOutput(path, ['update-ref', 'refs/heads/b1', 'main']),
  'a packed reference': (path) => {
    gitOutput(path, ['update-ref', 'refs/heads/b1', 'main']);
    gitOutput(path, ['pack-refs', '--all']);
  },
  'a packed reference above': (path) => {
    gitOutput(path, ['update-ref', 'refs/heads/d', 'main']);
    gitOutput(path, ['pack-refs', '--all', '--prune']);
  },
  'a packed reference below': (path) => {
    gitOutput(path, ['update-ref', 'refs/heads/b1/x', 'main']);
    gitOutput(path, ['pack-refs', '--all', '--prune']);
  },
  'an empty directory': (path) => mkdirSync(`${path}/refs/heads/b1`),
  'a lock of a name above': (path) => writeFileSync(`${path}/refs/heads/d.lock`, ''),
  'a lock': (path) => writeFileSync(`${path}/refs/heads/b1.lock`, ''),
  'a lock of packed-refs': (path) => writeFileSync(`${path}/packed-refs.lock`, ''),
  'a file that is not sorted': (path) =>
    writeFileSync(`${path}/packed-refs`, `# pack-refs with: peeled \n${'1'.repeat(40)} refs/tags/x\n`),
};

for (const [what, make] of Object.entries(IN_THE_WAY))
  test(`nothing changes when there is ${what} in the way`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 1 });
    const { path } = repository;
    const oid = gitOutput(path, ['rev-parse', 'main']);
    make(path);
    const state = (): unknown => [
      existsSync(`${path}/packed-refs`) && readFileSync(`${path}/packed-refs`, 'latin1'),
      existsSync(`${path}/packed-refs.lock`),
      existsSync(`${path}/refs/heads/b1.lock`),
      existsSync(`${path}/refs/heads/b0.lock`),
      existsSync(`${path}/refs/heads/d`),
    ];
    const before = state();

    const refs = refsOf(['refs/heads/b0', 'refs/heads/b1', 'refs/heads/d/e'], oid);
    assert.equal(await createPackedRefs(repository, refs, never), false);

    assert.deepEqual(state(), before);
  });

// Symptom: both were acknowledged. Nobody could clone the repository any more, as no directory has
// files of both.
test('references are removed again if another call creates one below them meanwhile', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const { path } = repository;
  const oid = gitOutput(path, ['rev-parse', 'main']);
  // Called when the locks are taken, before anything has changed.
  fixture.caches.changeRecorder = {
    begin: async () => {
      if (!existsSync(`${path}/refs/heads/b1`)) gitOutput(path, ['update-ref', 'refs/heads/b1/x', oid]);
      return undefined;
    },
  };

  assert.equal(
    await createPackedRefs(repository, refsOf(['refs/heads/b0', 'refs/heads/b1'], oid), never),
    false,
  );

  assert.deepEqual(listed(path), ['refs/heads/b1/x', 'refs/heads/main']);
  assert.equal(existsSync(`${path}/packed-refs.lock`), false);
  gitOutput(path, ['update-ref', 'refs/heads/b0', oid]);
});

test('references of others that appear or are packed meanwhile are not lost', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const { path } = repository;
  const oid = gitOutput(path, ['rev-parse', 'main']);
  const created: string[] = [];
  const written: string[] = [];
  const ours = async (who: string): Promise<void> => {
    for (let round = 0; round < 15; round++) {
      const names = Array.from({ length: 20 }, (_, index) => `refs/heads/${who}/r${round}/b${index}`);
      if (await createPackedRefs(repository, refsOf(names, oid), never)) created.push(...names);
    }
  };
  const theirs = async (): Promise<void> => {
    for (let round = 0; round < 15; round++) {
      const name = `refs/heads/git/b${round}`;
      await runGit(['-C', path, 'update-ref', name, oid]);
      written.push(name);
      await runGit(['-C', path, '-c', 'core.packedRefsTimeout=10000', 'pack-refs', '--all', '--prune']);
      if (round % 3 === 0) {
        await runGit(['-C', path, '-c', 'core.packedRefsTimeout=10000', 'update-ref', '-d', name]);
        written.pop();
      }
    }
  };

  await Promise.all([ours('one'), ours('two'), theirs()]);

  assert.ok(created.length > 100, 'many were created');
  assert.deepEqual(listed(path).sort(), ['refs/heads/main', ...created, ...written].sort());
  assert.equal(gitOutput(path, ['fsck', '--strict']), '');
});

test('an aborted creation leaves nothing', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = gitOutput(repository.path, ['rev-parse', 'main']);
  const refs = refsOf(
    Array.from({ length: 500 }, (_, index) => `refs/heads/a/b${index}`),
    oid,
  );
  const ending = new AbortController();

  const creating = createPackedRefs(repository, refs, ending.signal);
  setImmediate(() => ending.abort(new Error('the client left')));

  await assert.rejects(creating, { message: 'the client left' });
  assert.deepEqual(listed(repository.path), ['refs/heads/main']);
  for (const file of ['packed-refs', 'packed-refs.lock', 'refs/heads/a'])
    assert.equal(existsSync(`${repository.path}/${file}`), false, file);
});
