import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPOSITORY } from '#testkit/clients/operation-fixture';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

const MAIN = Buffer.from('refs/heads/main');

const TO_REFERENCE = {
  UserMergeToRef: (gitaly: TestGitaly, sourceSha: string, targetRef: string) =>
    gitaly.connection.operation.userMergeToRef({
      repository: REPOSITORY,
      user: USER,
      sourceSha,
      firstParentRef: MAIN,
      targetRef: Buffer.from(targetRef),
      message: Buffer.from('merge'),
    }),
  UserRebaseToRef: (gitaly: TestGitaly, sourceSha: string, targetRef: string) =>
    gitaly.connection.operation.userRebaseToRef({
      repository: REPOSITORY,
      user: USER,
      sourceSha,
      firstParentRef: MAIN,
      targetRef: Buffer.from(targetRef),
    }),
};

for (const [rpc, call] of Object.entries(TO_REFERENCE)) {
  test(`${rpc} names the reference that git finds for the target, if it is another one`, async () => {
    await using gitaly = await startGitaly();
    const path = join(gitaly.storagePath(), 'r.git');
    await runGit(['init', '--quiet', '--bare', '--initial-branch=main', path]);
    const input = 'commit refs/heads/main\ncommitter C <c@x> 1600000000 +0000\ndata 2\nm\n';
    await runGit(['-C', path, 'fast-import', '--quiet'], { input });
    const main = await runGit(['-C', path, 'rev-parse', 'main']);
    for (const name of ['1/merge', '1/"quoted"', '22/merge', '23/merge']) {
      await runGit(['-C', path, 'update-ref', `refs/merge-requests/${name}`, main]);
    }

    for (const target of [
      'refs/merge-requests/1',
      'refs/merge-requests/2*/merge',
      'refs/merge-requests/2?/[m]erge',
    ]) {
      const [found = ''] = (await runGit(['-C', path, 'for-each-ref', '--format=%(refname)', target])).split(
        '\n',
      );
      await assert.rejects(call(gitaly, main, target), {
        code: 'INVALID_ARGUMENT',
        message:
          'target reference is ambiguous: reference is ambiguous: conflicts with ' +
          `${JSON.stringify(found)}`,
      });
    }
  });
}
