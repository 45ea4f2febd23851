import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const source = { storageName: 'default', relativePath: 'source.git' };
const target = { storageName: 'default', relativePath: 'target.git' };
const bytes = (text: string) => Buffer.from(text);

function pathOf(gitaly: TestGitaly, { relativePath }: { relativePath: string }): string {
  return join(gitaly.storagePath(), relativePath);
}

function fetchInto(gitaly: TestGitaly, request: { targetRef: string; sourceBranch?: string; old?: string }) {
  const servers = { default: { address: gitaly.address, token: '' } };
  return gitaly.connection.repository.fetchSourceBranch(
    {
      repository: target,
      sourceRepository: source,
      sourceBranch: bytes(request.sourceBranch ?? 'refs/heads/main'),
      targetRef: bytes(request.targetRef),
      expectedTargetOldOid: request.old ?? '',
    },
    { metadata: { 'gitaly-servers': Buffer.from(JSON.stringify(servers)).toString('base64') } },
  );
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`the commit of a branch of another ${objectFormat} repository gets a reference`, async () => {
    await using gitaly = await startGitaly();
    const [there, here] = [pathOf(gitaly, source), pathOf(gitaly, target)];
    initRepository(there, { commits: 3, objectFormat });
    initRepository(here, { commits: 1, objectFormat });
    const tip = gitOutput(there, ['rev-parse', 'main']);

    const first = await fetchInto(gitaly, { targetRef: 'refs/merge-requests/1/head' });
    addCommit(there, 4);
    const second = await fetchInto(gitaly, { targetRef: 'refs/merge-requests/1/head', old: tip });
    const unknown = await fetchInto(gitaly, { targetRef: 'refs/heads/x', sourceBranch: 'refs/heads/none' });

    assert.deepEqual([first.result, second.result, unknown.result], [true, true, false]);
    const refs = gitOutput(here, ['for-each-ref', '--format=%(refname)']);
    assert.equal(refs, 'refs/heads/main\nrefs/merge-requests/1/head');
    assert.equal(
      gitOutput(here, ['rev-parse', 'refs/merge-requests/1/head']),
      gitOutput(there, ['rev-parse', 'main']),
    );
    gitOutput(here, ['fsck', '--strict']);
  });
}

test('a reference with another value than expected stays', async () => {
  await using gitaly = await startGitaly();
  initRepository(pathOf(gitaly, source), { commits: 3 });
  const here = pathOf(gitaly, target);
  initRepository(here, { commits: 1 });
  const before = gitOutput(here, ['rev-parse', 'main']);

  const fetching = fetchInto(gitaly, { targetRef: 'refs/heads/main', old: '1'.repeat(40) });

  await assert.rejects(fetching, {
    code: 'INTERNAL',
    message: 'commit: reference does not point to expected object',
  });
  assert.equal(gitOutput(here, ['rev-parse', 'main']), before);
});

for (const targetRef of ['config', 'shallow', 'packed-refs', 'objects/info/alternates', 'Config']) {
  test(`a reference is not written over the file ${targetRef} of a repository`, async () => {
    await using gitaly = await startGitaly();
    initRepository(pathOf(gitaly, source), { commits: 3 });
    const here = pathOf(gitaly, target);
    initRepository(here, { commits: 1 });
    const config = readFileSync(join(here, 'config'), 'utf8');

    const fetching = fetchInto(gitaly, { targetRef });

    await assert.rejects(fetching, { code: 'INTERNAL', message: 'commit: invalid reference format' });
    assert.equal(readFileSync(join(here, 'config'), 'utf8'), config);
    gitOutput(here, ['fsck', '--strict']);
  });
}
