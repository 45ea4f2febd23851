import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { FindLocalBranchesResponseSchema, ListRefsResponseSchema } from '#wire/gen/ref_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };

function listsOf({ connection }: TestGitaly) {
  return {
    ListRefs: async () =>
      (await Array.fromAsync(connection.ref.listRefs({ repository, patterns: [Buffer.from('refs/')] }))).map(
        (message) => toBinary(ListRefsResponseSchema, message),
      ),
    FindLocalBranches: async () =>
      (await Array.fromAsync(connection.ref.findLocalBranches({ repository }))).map((message) =>
        toBinary(FindLocalBranchesResponseSchema, message),
      ),
  };
}

function isRemembered({ log }: TestGitaly): boolean {
  return log.at(-1)?.['ref_list.remembered'] === true;
}

for (const method of ['ListRefs', 'FindLocalBranches'] as const) {
  test(`${method} sends the same messages again until a reference changes`, async () => {
    await using gitaly = await startGitaly();
    const path = join(gitaly.storagePath(), 'x.git');
    initRepository(path, { commits: 2 });
    for (let index = 0; index < 45; index++) gitOutput(path, ['branch', `b-${index}`, 'main']);
    const list = listsOf(gitaly)[method];
    const first = await list();

    // It is remembered once the files have been unchanged for two seconds.
    await until(async () => {
      assert.deepEqual(await list(), first);
      return isRemembered(gitaly);
    });

    gitOutput(path, ['branch', 'new', 'main']);
    const changed = await list();
    assert.ok(!isRemembered(gitaly));
    assert.ok(Buffer.concat(changed).includes('refs/heads/new'));
    gitOutput(path, ['branch', '-D', 'new']);
    assert.deepEqual(await list(), first);
  });
}
