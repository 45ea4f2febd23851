import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';

const bytes = (text: string): Buffer => Buffer.from(text);

// These calls took git's failure for an empty result: `false`, 0 and empty lists, with status OK.
test('calls fail for a repository whose storage of references is unknown', async () => {
  await using gitaly = await startGitaly();
  const repository = await gitaly.createRepository({ commits: 2 });
  const { commit, ref, repository: repositories } = gitaly.connection;
  const path = join(gitaly.storagePath(), repository.relativePath);
  gitOutput(path, ['config', 'core.repositoryformatversion', '1']);
  appendFileSync(join(path, 'config'), '[extensions]\n\trefstorage = junk\n');
  const revision = bytes('main');

  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    refExists: () => ref.refExists({ repository, ref: bytes('refs/heads/main') }),
    commitIsAncestor: () => commit.commitIsAncestor({ repository, ancestorId: 'main', childId: 'main' }),
    countCommits: () => commit.countCommits({ repository, revision }),
    findAllCommits: () => Array.fromAsync(commit.findAllCommits({ repository, revision })),
    commitsByMessage: () => Array.fromAsync(commit.commitsByMessage({ repository, revision, query: 'c' })),
    findMergeBase: () => repositories.findMergeBase({ repository, revisions: [revision, revision] }),
    searchFilesByContent: () =>
      Array.fromAsync(repositories.searchFilesByContent({ repository, ref: revision, query: 'c' })),
    // It reported that the references are files.
    repositoryInfo: () => repositories.repositoryInfo({ repository }),
    listFiles: () => Array.fromAsync(commit.listFiles({ repository, revision })),
  };

  assert.throws(() => gitOutput(path, ['show-ref']));
  for (const [name, call] of Object.entries(calls))
    await assert.rejects(call, { message: /unknown reference backend: "junk"/ }, name);
  await assert.rejects(repositories.repositoryInfo({ repository }), {
    code: 'INTERNAL',
    message:
      'deriving repository info: checking references: reference backend: unknown reference backend: "junk"',
  });
});
