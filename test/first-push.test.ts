import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { gitOutput } from '#testkit/repositories/init-repository';
import { RulesSite, works } from './rules/rules-site.ts';

/** Pushed branches, and the branch that a clone checks out afterwards. */
const CASES: readonly (readonly [pushed: readonly string[], head: string])[] = [
  [['trunk'], 'trunk'],
  [['zebra', 'master', 'apple'], 'master'],
  [['zebra', 'main', 'master'], 'main'],
  [['zebra', 'apple'], 'apple'],
];

for (const bySsh of NO_OPENSSH === false ? [false, true] : [false])
  for (const inProcess of [true, false])
    test(`the first push decides HEAD (SSH: ${bySsh}, in process: ${inProcess})`, async () => {
      await using site = await RulesSite.open({ config: { git: { in_process: inProcess } } });
      await site.commit('a');
      for (const [branches, head] of CASES) {
        // One that exists and is empty, whose HEAD names a branch that nobody pushes.
        if (await site.repository.exists()) await site.repository.remove();
        await site.repository.create({ defaultBranch: 'unborn' });
        const path = join(site.gitaly.storagePath(), 'a.git');
        const refspecs = branches.map((branch) => `main:refs/heads/${branch}`);
        works(await (bySsh ? site.pushBySsh(...refspecs) : site.push('bob', ...refspecs)));
        assert.equal(gitOutput(path, ['symbolic-ref', 'HEAD']), `refs/heads/${head}`);

        // A later push leaves it, even where another name would have come first.
        works(await (bySsh ? site.pushBySsh('main') : site.push('bob', 'main')));
        assert.equal(gitOutput(path, ['symbolic-ref', 'HEAD']), `refs/heads/${head}`);
      }
    });

test('a HEAD that was pushed stays, and a push of tags alone decides nothing', async () => {
  await using site = await RulesSite.open();
  await site.commit('a');
  await site.repository.create({ defaultBranch: 'trunk' });
  const path = join(site.gitaly.storagePath(), 'a.git');
  works(await site.push('bob', 'main:refs/tags/v1'));
  assert.equal(gitOutput(path, ['symbolic-ref', 'HEAD']), 'refs/heads/trunk');
  works(await site.push('bob', 'main', 'main:trunk'));
  assert.equal(gitOutput(path, ['symbolic-ref', 'HEAD']), 'refs/heads/trunk');
});

test('a push by gRPC leaves HEAD, as in Gitaly', async () => {
  await using site = await RulesSite.open();
  await site.commit('a');
  await site.repository.create();
  const path = join(site.gitaly.storagePath(), 'a.git');
  const { connection } = site.gitaly;
  const user = site.as('bob');
  await user.commit({ branch: 'trunk', message: 'a', files: { a: 'a' } });
  assert.equal(gitOutput(path, ['symbolic-ref', 'HEAD']), 'refs/heads/main');
  assert.equal((await connection.repository.hasLocalBranches({ repository: user.message })).value, true);
});
