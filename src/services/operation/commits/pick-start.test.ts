import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REPOSITORY } from '#testkit/operation-fixture';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

for (const rpc of ['userCherryPick', 'userRevert'] as const) {
  test(`${rpc} does not show git a start that begins with a dash`, async () => {
    await using gitaly = await startGitaly();
    const path = initServed(gitaly, 'r.git', { commits: 2 });
    const commit = { id: gitOutput(path, ['rev-parse', 'main']) };
    const request = { repository: REPOSITORY, user: USER, commit, message: Buffer.from('m') };

    // The messages are Gitaly's: a missing name differs from a name that Gitaly never looks up.
    await assert.rejects(gitaly.connection.operation[rpc]({ ...request, branchName: Buffer.from('-main') }), {
      code: 'INVALID_ARGUMENT',
      message:
        'resolve start ref: positional arg "-main^{commit}" cannot start with dash \'-\': invalid argument',
    });
    await assert.rejects(gitaly.connection.operation[rpc]({ ...request, branchName: Buffer.from('nope') }), {
      code: 'INVALID_ARGUMENT',
      message: 'resolve start ref: reference not found',
    });
  });
}
