import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';

const USER = { glId: 'user-1', glUsername: 'jane', name: Buffer.from('Jane'), email: Buffer.from('j@x') };
const MAIN = Buffer.from('main');

/** Starts a server whose git writes down how it is called. */
async function start(context: TestContext) {
  const directory = makeScratchDirectory('noted-git');
  mkdirSync(directory, { recursive: true });
  const [script, log] = [join(directory, 'git'), join(directory, 'log')];
  writeFileSync(script, `#!/bin/sh\necho "$*" >> '${log}'\nexec git "$@"\n`);
  chmodSync(script, 0o755);
  const gitaly = await startGitaly({
    config: { git: { bin_path: script }, housekeeping: { automatic: false } },
  });
  context.after(async () => {
    await gitaly.close();
    rmSync(directory, { recursive: true });
  });
  const repository = await gitaly.createRepository({ relativePath: 'r.git' });
  await repository.commit({ files: { 'README.md': 'hello\n', 'src/a.ts': 'a\n', 'src/b.ts': 'b\n' } });
  await repository.commit({ files: { 'src/a.ts': 'aa\n' } });
  await repository.git(['update-ref', 'refs/heads/side', 'refs/heads/main']);
  await repository.commit({ branch: 'side', files: { 'side.txt': 'side\n' } });
  await repository.commit({ files: { 'main.txt': 'main\n' } });
  await repository.git(['repack', '-adq']);
  return { gitaly, repository, log };
}

test('reads, commits and merges start no cat-file, in a repository that was never read', async (context) => {
  const { gitaly, repository, log } = await start(context);
  const { blob, commit, operation } = gitaly.connection;
  const oid = await repository.git(['rev-parse', 'main']);
  const readme = await repository.git(['rev-parse', 'main:README.md']);
  const all = async <T>(stream: AsyncIterable<T>): Promise<T[]> => await Array.fromAsync(stream);
  writeFileSync(log, '');

  const found = await commit.findCommit({ repository, revision: MAIN });
  assert.equal(found.commit?.id, oid);
  const [entry] = await all(commit.treeEntry({ repository, revision: MAIN, path: Buffer.from('README.md') }));
  assert.equal(entry?.oid, readme);
  const entries = await all(commit.getTreeEntries({ repository, revision: MAIN, path: Buffer.from('src') }));
  assert.deepEqual(
    entries.flatMap((page) => page.entries).map(({ path }) => Buffer.from(path).toString()),
    ['src/a.ts', 'src/b.ts'],
  );
  const listed = await all(commit.listCommitsByOid({ repository, oid: [oid] }));
  assert.equal(listed[0]?.commits[0]?.id, oid);
  const history = await all(commit.listCommits({ repository, revisions: ['main'] }));
  assert.equal(history.flatMap(({ commits }) => commits).length, 3);
  const revisionPaths = [{ revision: 'main', path: Buffer.from('README.md') }];
  const blobs = await all(blob.getBlobs({ repository, revisionPaths, limit: -1n }));
  assert.equal(Buffer.concat(blobs.map(({ data }) => data)).toString(), 'hello\n');
  const last = await all(commit.listLastCommitsForTree({ repository, revision: 'main', limit: 10 }));
  assert.equal(last.flatMap(({ commits }) => commits).length, 3);

  await operation.userCommitFiles([
    {
      userCommitFilesRequestPayload: {
        case: 'header',
        value: { repository, user: USER, branchName: MAIN, commitMessage: Buffer.from('more') },
      },
    },
    {
      userCommitFilesRequestPayload: {
        case: 'action',
        value: {
          userCommitFilesActionPayload: {
            case: 'header',
            value: { action: 0, filePath: Buffer.from('new') },
          },
        },
      },
    },
    {
      userCommitFilesRequestPayload: {
        case: 'action',
        value: { userCommitFilesActionPayload: { case: 'content', value: Buffer.from('new\n') } },
      },
    },
  ]);

  const side = await repository.git(['rev-parse', 'side']);
  async function* merge() {
    yield { repository, user: USER, branch: MAIN, commitId: side, message: Buffer.from('merge') };
    yield { apply: true };
  }
  const merged = await all(operation.userMergeBranch(merge()));
  assert.equal(merged.at(-1)?.branchUpdate?.commitId, await repository.git(['rev-parse', 'main']));

  assert.doesNotMatch(readFileSync(log, 'utf8'), /cat-file/);
});
