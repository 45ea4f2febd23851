import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

const repository = { storageName: 'default', relativePath: 'r.git' };
const HISTORY = `commit refs/heads/main
mark :1
author Old <old@x> 1600000000 +0000
committer Old <old@x> 1600000000 +0000
data 0
M 100644 inline .mailmap
data 26
New <new@x> Old <old@x>
#
M 100644 inline a
data 0
commit refs/heads/topic
author Old <old@x> 1600000001 +0000
committer Old <old@x> 1600000001 +0000
data 5
topic
from :1
M 100644 inline b
data 0
commit refs/heads/main
committer M <m@x> 1600000002 +0000
data 4
main
from :1
M 100644 inline c
data 0
`;

for (const [flag, author] of [
  ['true', 'New <new@x>'],
  ['false', 'Old <old@x>'],
] as const) {
  test(`picked and rebased commits have the author ${author} with mailmap_options ${flag}`, async () => {
    await using gitaly = await startGitaly();
    const path = initServed(gitaly, 'r.git');
    gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], HISTORY);
    const topic = gitOutput(path, ['rev-parse', 'topic']);
    const { operation } = gitaly.connection;
    const options = { metadata: { 'gitaly-feature-mailmap-options': flag } };
    const authorOf = (revision: string) => gitOutput(path, ['log', '-1', '--format=%an <%ae>', revision]);

    const rebased = await operation.userRebaseToRef(
      {
        repository,
        user: USER,
        sourceSha: topic,
        firstParentRef: Buffer.from('refs/heads/main'),
        targetRef: Buffer.from('refs/merge-requests/1/merge'),
      },
      options,
    );
    const picked = await operation.userCherryPick(
      {
        repository,
        user: USER,
        commit: { id: topic },
        branchName: Buffer.from('main'),
        message: Buffer.from('picked'),
      },
      options,
    );

    assert.equal(authorOf(rebased.commitId), author);
    assert.equal(authorOf(picked.branchUpdate?.commitId ?? ''), author);
  });
}
