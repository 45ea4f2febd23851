import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addCommit, gitOutput, referenceBackends } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { readReferences } from './read-references.ts';

const { signal } = new AbortController();
/** Few are read one by one, many by git. */
const NUMBERS = [3, 300];
/** A setting that other versions of git may not know. */
const ODD = ['config', 'extensions.unknown', 'true'];

for (const referenceBackend of referenceBackends())
  for (const number of NUMBERS)
    test(`${number} references are read as git lists them, not followed (${referenceBackend})`, async () => {
      await using fixture = await StorageFixture.create();
      const repository = fixture.init('a.git', { referenceBackend });
      const { path } = repository;
      const commit = addCommit(path);
      const lines = Array.from({ length: number }, (_, at) => `create refs/heads/b${at} ${commit}\n`);
      fixture.runGit(path, ['update-ref', '--stdin'], lines.join(''));
      gitOutput(path, ['pack-refs', '--all']);
      gitOutput(path, ['update-ref', 'refs/tags/loose', commit]);
      for (const [name, target] of [
        ['HEAD', 'refs/heads/b0'],
        ['refs/remotes/origin/HEAD', 'refs/heads/b1'],
        ['refs/nowhere', 'refs/heads/none'],
      ] as const)
        gitOutput(path, ['symbolic-ref', name, target]);

      const references = await readReferences(repository, signal);
      if (referenceBackend === 'files') gitOutput(path, ODD);
      const byGit = await readReferences(repository, signal);

      assert.deepEqual(new Map([...references].sort()), new Map([...byGit].sort()));
      const listed = gitOutput(path, ['for-each-ref', '--format=%(objectname) %(refname)']).split('\n');
      assert.deepEqual(
        [...references.keys()].sort(),
        ['HEAD', ...listed.map((line) => line.split(' ')[1])].sort(),
      );
      assert.equal(references.get('HEAD'), 'ref: refs/heads/b0');
      assert.equal(references.get('refs/remotes/origin/HEAD'), 'ref: refs/heads/b1');
      assert.equal(references.get('refs/tags/loose'), commit);
      assert.equal(references.get('refs/heads/b2'), commit);
    });
