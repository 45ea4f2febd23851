import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import {
  FindAllTagsResponseSchema,
  FindLocalBranchesResponseSchema,
  ListRefsResponseSchema,
} from '#wire/gen/ref_pb';

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
    FindAllTags: async (options = {}) =>
      (await Array.fromAsync(connection.ref.findAllTags({ repository }, options))).map((message) =>
        toBinary(FindAllTagsResponseSchema, message),
      ),
  };
}

function isRemembered({ log }: TestGitaly): boolean {
  return log.at(-1)?.['ref_list.remembered'] === true;
}

const NAMESPACES = {
  ListRefs: 'refs/heads/',
  FindLocalBranches: 'refs/heads/',
  FindAllTags: 'refs/tags/',
} as const;

for (const method of ['ListRefs', 'FindLocalBranches', 'FindAllTags'] as const) {
  test(`${method} sends the same messages again until a reference changes`, async () => {
    await using gitaly = await startGitaly();
    const path = initServed(gitaly, 'x.git', { commits: 2 });
    const names = Array.from({ length: 45 }, (_, index) => `${NAMESPACES[method]}b-${index}`);
    gitOutput(path, ['update-ref', '--stdin'], names.map((name) => `create ${name} main\n`).join(''));
    const list = listsOf(gitaly)[method];
    const first = await list();

    // It is remembered once the files have been unchanged for two seconds.
    await until(async () => {
      assert.deepEqual(await list(), first);
      return isRemembered(gitaly);
    });

    gitOutput(path, ['update-ref', `${NAMESPACES[method]}new`, 'main']);
    const changed = await list();
    assert.ok(!isRemembered(gitaly));
    assert.ok(Buffer.concat(changed).includes('new'));
    gitOutput(path, ['update-ref', '-d', `${NAMESPACES[method]}new`]);
    assert.deepEqual(await list(), first);
  });
}

for (const { length, branches, asked, remembered } of [
  { length: 'short', branches: 1, asked: 'twice', remembered: [false, false, true] },
  { length: 'long', branches: 200, asked: 'once', remembered: [false, true, true] },
]) {
  // A backup lists the references of each repository once: all of them were kept for a minute.
  test(`a ${length} list is remembered when it was asked for ${asked}`, async () => {
    await using gitaly = await startGitaly();
    const path = initServed(gitaly, 'x.git', { commits: 1 });
    const names = Array.from({ length: branches }, (_, index) => `refs/heads/b-${index}`);
    gitOutput(path, ['update-ref', '--stdin'], names.map((name) => `create ${name} main\n`).join(''));
    gitOutput(path, ['pack-refs', '--all']);
    const { ListRefs, FindLocalBranches } = listsOf(gitaly);
    // The files have been unchanged for two seconds then.
    await until(async () => {
      await FindLocalBranches();
      return isRemembered(gitaly);
    });

    const found = [];
    for (const _ of remembered) {
      await ListRefs();
      found.push(isRemembered(gitaly));
    }

    assert.deepEqual(found, remembered);
  });
}

test('FindAllTags remembers its responses with and without the mailmap apart', async () => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, 'x.git');
  gitOutput(path, ['tag', 'v1', commitFiles(path, { '.mailmap': 'New <new@x> <cal@example.com>' })]);
  const { FindAllTags } = listsOf(gitaly);
  await until(async () => {
    assert.ok(Buffer.concat(await FindAllTags()).includes('new@x'));
    return isRemembered(gitaly);
  });

  const plain = await FindAllTags({ metadata: { 'gitaly-feature-mailmap-options': 'false' } });

  assert.ok(!isRemembered(gitaly));
  assert.ok(!Buffer.concat(plain).includes('new@x'));
});
