import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { startGitaly } from '#testkit/start-gitaly';
import type { GitCommit } from '#wire/gen/shared_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('latin1');
const line = (name: Uint8Array, commit: GitCommit | undefined): string =>
  `${text(name)} ${commit?.id} ${text(commit?.subject)}`;

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`branches of a ${objectFormat} repository agree with git, in new and old fields`, async () => {
    await using gitaly = await startGitaly();
    const directory = initServed(gitaly, 'x.git', { commits: 3, objectFormat });
    for (const name of ['heads/b', 'heads/a/b', 'remotes/origin/main', 'remotes/other/x'])
      gitOutput(directory, ['update-ref', `refs/${name}`, 'main~1']);
    const apart = gitOutput(directory, ['commit-tree', '-p', 'main~1', '-m', 'not merged', 'main^{tree}']);
    gitOutput(directory, ['update-ref', 'refs/heads/not-merged', apart]);
    const ask = (...patterns: string[]): string =>
      gitOutput(directory, ['for-each-ref', '--format=%(refname) %(objectname) %(subject)', ...patterns]);
    const { ref } = gitaly.connection;

    const local = await Array.fromAsync(ref.findLocalBranches({ repository }));
    const all = await Array.fromAsync(ref.findAllBranches({ repository }));
    const merged = await Array.fromAsync(ref.findAllBranches({ repository, mergedOnly: true }));
    const remote = await Array.fromAsync(ref.findAllRemoteBranches({ repository, remoteName: 'origin' }));
    const names = await Array.fromAsync(ref.findAllBranchNames({ repository }));

    assert.equal(
      local
        .flatMap(({ localBranches }) => localBranches.map((each) => line(each.name, each.targetCommit)))
        .join('\n'),
      ask('refs/heads'),
    );
    const old = local.flatMap(({ branches }) => branches);
    assert.equal(
      old.map((each) => `${text(each.name)} ${each.commitId} ${text(each.commitSubject)}`).join('\n'),
      ask('refs/heads'),
    );
    assert.deepEqual(
      old.map(({ commit }) => commit),
      local.flatMap(({ localBranches }) => localBranches.map((each) => each.targetCommit)),
    );
    assert.deepEqual(
      [text(old[0]?.commitAuthor?.email), old[0]?.commitCommitter?.date?.seconds],
      ['ann@example.com', 1_600_000_000n],
    );
    assert.equal(
      all.flatMap(({ branches }) => branches.map((each) => line(each.name, each.target))).join('\n'),
      ask('refs/heads', 'refs/remotes'),
    );
    assert.equal(
      merged.flatMap(({ branches }) => branches.map((each) => line(each.name, each.target))).join('\n'),
      ask('--merged=main', 'refs/heads', 'refs/remotes'),
    );
    assert.equal(all.flatMap(({ branches }) => branches).length, 6);
    assert.equal(merged.flatMap(({ branches }) => branches).length, 5);
    assert.equal(
      remote.flatMap(({ branches }) => branches.map((each) => line(each.name, each.targetCommit))).join('\n'),
      ask('refs/remotes/origin'),
    );
    assert.deepEqual(
      names.flatMap(({ names }) => names.map(text)),
      ['refs/heads/a/b', 'refs/heads/b', 'refs/heads/main', 'refs/heads/not-merged'],
    );
  });
}

test('a thousand branches come in pages of any size, by name and by date', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  const main = gitOutput(directory, ['rev-parse', 'main']);
  writePackedRefs(
    directory,
    Array.from({ length: 1_000 }, (_, index) => `${main} refs/heads/b${String(index).padStart(4, '0')}`),
  );
  const { ref } = gitaly.connection;
  const page = async (sortBy: number, limit: number, pageToken: string): Promise<string[]> =>
    (
      await Array.fromAsync(
        ref.findLocalBranches({ repository, sortBy, paginationParams: { limit, pageToken } }),
      )
    ).flatMap(({ localBranches }) => localBranches.map(({ name }) => text(name)));

  for (const [sortBy, limit] of [
    [0, 300],
    [2, 999],
    [1, 5_000],
  ] as const) {
    const names: string[] = [];
    for (let last = ''; ; last = names.at(-1) ?? '') {
      const more = await page(sortBy, limit, last);
      names.push(...more);
      if (more.length < limit) break;
    }
    assert.equal(new Set(names).size, 1_001);
    assert.equal(names.length, 1_001);
  }
  assert.deepEqual(await page(0, 2, 'refs/heads/b0997'), ['refs/heads/b0998', 'refs/heads/b0999']);
});

test('many branches whose commits are large are cut into messages of about 1 MiB', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const tree = gitOutput(directory, ['mktree'], '');
  const oid = gitOutput(directory, ['commit-tree', tree], 'x'.repeat(9_000));
  writePackedRefs(
    directory,
    Array.from({ length: 250 }, (_, index) => `${oid} refs/heads/b${String(index).padStart(4, '0')}`),
  );

  const messages = await Array.fromAsync(gitaly.connection.ref.findLocalBranches({ repository }));

  assert.equal(messages.flatMap(({ localBranches }) => localBranches).length, 250);
  assert.ok(messages.length >= 4, 'the subject is the whole message, so a branch takes 18 kB');
});

test('FindBranch follows a branch through its life, and tells of a conflict', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  const find = async (name: string) =>
    (await gitaly.connection.ref.findBranch({ repository, name: Buffer.from(name) })).branch;

  assert.deepEqual(
    [text((await find('main'))?.name), (await find('main'))?.targetCommit?.id],
    ['main', gitOutput(directory, ['rev-parse', 'main'])],
  );
  const second = addCommit(directory, 2);
  gitOutput(directory, ['pack-refs', '--all']);
  assert.equal((await find('main'))?.targetCommit?.id, second);
  gitOutput(directory, ['update-ref', 'refs/heads/group/x', second]);
  await assert.rejects(find('group'), {
    code: 'INVALID_ARGUMENT',
    message: /conflicts with "refs\/heads\/group\/x"/,
  });
  gitOutput(directory, ['update-ref', '-d', 'refs/heads/main']);
  assert.equal(await find('main'), undefined);
  mkdirSync(join(directory, 'refs/heads/empty'), { recursive: true });
  assert.equal(await find('empty'), undefined);
});

test('branches and tags that contain a commit are those that git names', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 4 });
  gitOutput(directory, ['branch', 'old', 'main~2']);
  gitOutput(directory, ['tag', 'v1', 'main~1']);
  gitOutput(directory, ['tag', '-a', '-m', 'x', 'v2', 'main']);
  const commitId = gitOutput(directory, ['rev-parse', 'main~1']);
  const { ref } = gitaly.connection;

  const branches = (
    await Array.fromAsync(ref.listBranchNamesContainingCommit({ repository, commitId }))
  ).flatMap(({ branchNames }) => branchNames.map(text));
  const tags = (await Array.fromAsync(ref.listTagNamesContainingCommit({ repository, commitId }))).flatMap(
    ({ tagNames }) => tagNames.map(text),
  );
  const one = (
    await Array.fromAsync(ref.listTagNamesContainingCommit({ repository, commitId, limit: 1 }))
  ).flatMap(({ tagNames }) => tagNames.map(text));

  assert.deepEqual([branches, tags, one], [['main'], ['v1', 'v2'], ['v1']]);
  const { refs } = await ref.findRefsByOID({ repository, oid: commitId.slice(0, 8) });
  assert.deepEqual(refs, ['refs/tags/v1']);
});

for (const [oldestClient, old] of [
  [undefined, 3],
  ['15.11', 3],
  ['16.0', 0],
] as const) {
  const times = old > 0 ? 'twice' : 'once';
  test(`FindLocalBranches with oldest_client ${oldestClient ?? '-'} sends each branch ${times}`, async () => {
    const compatibility = { ...(oldestClient !== undefined && { oldest_client: oldestClient }) };
    await using gitaly = await startGitaly({ config: { compatibility } });
    const directory = initServed(gitaly, 'x.git', { commits: 3 });
    for (const name of ['a', 'b']) gitOutput(directory, ['update-ref', `refs/heads/${name}`, 'main~1']);

    for (const iterator of ['true', 'false']) {
      const metadata = { 'gitaly-feature-ref-iterator': iterator };
      const messages = await Array.fromAsync(
        gitaly.connection.ref.findLocalBranches({ repository }, { metadata }),
      );

      const newer = messages.flatMap(({ localBranches }) => localBranches);
      assert.deepEqual(
        newer.map((each) => line(each.name, each.targetCommit)).join('\n'),
        gitOutput(directory, ['for-each-ref', '--format=%(refname) %(objectname) %(subject)', 'refs/heads']),
      );
      assert.equal(messages.flatMap(({ branches }) => branches).length, old);
    }
  });
}
