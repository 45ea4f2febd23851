import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

type ObjectFormat = 'sha1' | 'sha256';

const MAIN = Buffer.from('main');
const MESSAGE = Buffer.from('message');
/** git's own options, before the subcommand. */
const OWN_OPTIONS = /^(?:--git-dir \S+ |-c \S+ )+/;
/** git moves branches. Its process stays for the next calls, so only some start one. */
const MOVES_BRANCHES = 'update-ref';
/** Starts a server whose git notes how it is called, with one repository. */
async function start(context: TestContext, objectFormat: ObjectFormat) {
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
  const repository = await gitaly.createRepository({ relativePath: 'r.git', objectFormat });
  await repository.commit({
    files: { 'README.md': 'hello\n', 'src/a.ts': 'a\n', 'src/b.ts': 'b\n', 'both.txt': lines('1', '2') },
  });
  await repository.commit({ files: { 'src/a.ts': 'aa\n' } });
  for (const branch of ['side', 'other', 'third', 'picked'])
    await repository.git(['update-ref', `refs/heads/${branch}`, 'refs/heads/main']);
  for (const branch of ['side', 'other', 'third']) {
    await repository.commit({ branch, files: { [`${branch}.txt`]: 'text\n' } });
    await repository.commit({ branch, files: { [`${branch}-2.txt`]: 'text\n' } });
  }
  await repository.commit({ branch: 'picked', files: { 'both.txt': lines('one', '2') } });
  await repository.commit({ files: { 'both.txt': lines('1', 'two') } });
  await repository.git(['tag', '-a', '-m', 'tag', 'v1', 'main']);
  await repository.git(['repack', '-adq']);
  writeFileSync(log, '');
  /** Makes a call, and returns its result and the subcommands of git that it started. */
  const noted = async <T>(call: () => Promise<T>): Promise<[T, string[]]> => {
    const before = readFileSync(log, 'utf8').length;
    const result = await call();
    const commands = readFileSync(log, 'utf8').slice(before).split('\n').slice(0, -1);
    return [result, commands.map((words) => words.replace(OWN_OPTIONS, '').split(' ', 1)[0] ?? words)];
  };
  const tip = (name: string): Promise<string> => repository.git(['rev-parse', name]);
  const servers = { default: { address: gitaly.address, token: '' } };
  const metadata = { 'gitaly-servers': Buffer.from(JSON.stringify(servers)).toString('base64') };
  return { repository, connection: gitaly.connection, noted, tip, metadata };
}

/** Lists and counts commits, and returns the commands that this started. */
async function readHistories({
  connection,
  noted,
  repository,
  readme,
  oid,
}: Pick<Awaited<ReturnType<typeof start>>, 'connection' | 'noted' | 'repository'> & {
  readonly readme: Buffer;
  readonly oid: string;
}): Promise<Record<string, string[]>> {
  const { commit } = connection;
  const [range, ofRange] = await noted(() =>
    all(commit.listCommits({ repository, revisions: ['^side', 'main'], reverse: true })),
  );
  assert.deepEqual(
    range.flatMap((page) => page.commits).map(({ id }) => id),
    [oid],
  );
  const [counted, ofCount] = await noted(() => commit.countCommits({ repository, revision: MAIN }));
  assert.equal(counted.count, 3);
  const [sides, ofSides] = await noted(() =>
    commit.countDivergingCommits({ repository, from: MAIN, to: Buffer.from('side') }),
  );
  assert.deepEqual([sides.leftCount, sides.rightCount], [1, 2]);
  const [last, ofPath] = await noted(() =>
    commit.lastCommitForPath({ repository, revision: MAIN, path: readme }),
  );
  assert.deepEqual(last.commit?.parentIds, []);
  return {
    ofRange,
    ofCount,
    ofSides,
    ofPath,
    ...(await readHistoriesOfPaths({ connection, noted, repository })),
  };
}

/** Lists and counts the commits that change a file, and returns the commands that this started. */
async function readHistoriesOfPaths({
  connection: { commit },
  noted,
  repository,
}: Pick<Awaited<ReturnType<typeof start>>, 'connection' | 'noted' | 'repository'>): Promise<
  Record<string, string[]>
> {
  const path = Buffer.from('src/a.ts');
  const changes = await repository.git(['rev-list', 'main', '--', 'src/a.ts']);
  const idsOf = (pages: readonly { readonly commits: readonly { readonly id: string }[] }[]): string =>
    pages.flatMap(({ commits }) => commits.map(({ id }) => id)).join('\n');
  const [page, ofFindPaths] = await noted(() =>
    all(commit.findCommits({ repository, revision: MAIN, paths: [path], limit: 20 })),
  );
  assert.equal(idsOf(page), changes);
  const [list, ofListPaths] = await noted(() =>
    all(
      commit.listCommits({
        repository,
        revisions: ['main', '^side'],
        paths: [path, Buffer.from('both.txt')],
      }),
    ),
  );
  assert.equal(idsOf(list), await repository.git(['rev-parse', 'main']));
  const [{ count }, ofCountPath] = await noted(() =>
    commit.countCommits({ repository, revision: MAIN, path }),
  );
  assert.equal(count, 2);
  return { ofFindPaths, ofListPaths, ofCountPath };
}

const lines = (first: string, last: string): string => `${first}\n${'line\n'.repeat(20)}${last}\n`;

const pathsOf = (pages: readonly { readonly files: readonly Uint8Array[] }[]): string[] =>
  pages.flatMap((page) => page.files).map((file) => Buffer.from(file).toString());

const all = async <T>(stream: AsyncIterable<T>): Promise<T[]> => await Array.fromAsync(stream);

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`the first reads of a ${objectFormat} repository start no git`, async (context) => {
    const { repository, connection, noted, tip } = await start(context, objectFormat);
    const { blob, commit, ref } = connection;
    const oid = await tip('main');
    const readme = await tip('main:README.md');
    const revision = MAIN;

    const [found, ofFind] = await noted(() => commit.findCommit({ repository, revision }));
    assert.equal(found.commit?.id, oid);
    const [tag, ofTag] = await noted(() => ref.findTag({ repository, tagName: Buffer.from('v1') }));
    assert.equal(tag.tag?.targetCommit?.id, oid);
    const path = Buffer.from('README.md');
    const [[entry], ofEntry] = await noted(() => all(commit.treeEntry({ repository, revision, path })));
    assert.equal(entry?.oid, readme);
    const source = Buffer.from('src');
    const [entries, ofEntries] = await noted(() =>
      all(commit.getTreeEntries({ repository, revision, path: source })),
    );
    assert.deepEqual(
      entries.flatMap((page) => page.entries).map((each) => Buffer.from(each.path).toString()),
      ['src/a.ts', 'src/b.ts'],
    );
    const [listed, ofListed] = await noted(() => all(commit.listCommitsByOid({ repository, oid: [oid] })));
    assert.equal(listed[0]?.commits[0]?.id, oid);
    const [history, ofHistory] = await noted(() =>
      all(commit.listCommits({ repository, revisions: ['main'], paginationParams: { limit: 20 } })),
    );
    assert.equal(history.flatMap(({ commits }) => commits).length, 3);
    const revisionPaths = [{ revision: 'main', path }];
    const [blobs, ofBlobs] = await noted(() => all(blob.getBlobs({ repository, revisionPaths, limit: -1n })));
    assert.equal(Buffer.concat(blobs.map(({ data }) => data)).toString(), 'hello\n');
    const [last, ofLast] = await noted(() =>
      all(commit.listLastCommitsForTree({ repository, revision: 'main', limit: 10 })),
    );
    assert.equal(last.flatMap(({ commits }) => commits).length, 3);

    const [files, ofSearch] = await noted(() =>
      all(connection.repository.searchFilesByName({ repository, query: 'src', ref: MAIN, filter: 'b' })),
    );
    assert.deepEqual(pathsOf(files), ['src/b.ts']);

    const ofHistories = await readHistories({ connection, noted, repository, oid, readme: path });
    const started = {
      ...{ ofFind, ofTag, ofEntry, ofEntries, ofListed, ofHistory, ofBlobs, ofLast, ofSearch },
      ...ofHistories,
    };
    for (const [name, commands] of Object.entries(started)) assert.deepEqual(commands, [], name);
  });

  test(`small diffs of a ${objectFormat} repository start no git`, async (context) => {
    const { repository, connection, noted, tip } = await start(context, objectFormat);
    const { diff, commit } = connection;
    const [leftCommitId, rightCommitId] = [await tip('main~2'), await tip('main')];
    const sides = { repository, leftCommitId, rightCommitId };
    const both = ['both.txt', 'src/a.ts'];
    const names = (files: readonly { path?: Uint8Array; toPath?: Uint8Array }[]): string[] =>
      files.map((file) => Buffer.from(file.path ?? file.toPath ?? []).toString());

    const [patches, ofPatches] = await noted(() => all(diff.commitDiff(sides)));
    assert.deepEqual(names(patches), both);
    assert.match(patches.map((patch) => String(Buffer.from(patch.rawPatchData))).join(''), /^-2\n\+two$/m);
    const [deltas, ofDeltas] = await noted(() => all(diff.commitDelta(sides)));
    assert.deepEqual(names(deltas.flatMap((page) => page.deltas)), both);
    const [stats, ofStats] = await noted(() => all(diff.diffStats(sides)));
    assert.deepEqual(
      stats.flatMap((page) => page.stats).map(({ additions, deletions }) => [additions, deletions]),
      [
        [1, 1],
        [1, 1],
      ],
    );
    const [raw, ofRaw] = await noted(() => all(diff.rawDiff(sides)));
    assert.equal(
      Buffer.concat(raw.map(({ data }) => data)).toString(),
      `${await repository.git(['diff', '--full-index', leftCommitId, rightCommitId])}\n`,
    );
    const trees = [`${leftCommitId}^{tree}`, `${rightCommitId}^{tree}`].map(tip);
    const [leftTreeRevision = '', rightTreeRevision = ''] = await Promise.all(trees);
    const [paths, ofPaths] = await noted(() =>
      all(
        diff.findChangedPaths({
          repository,
          requests: [{ type: { case: 'treeRequest', value: { leftTreeRevision, rightTreeRevision } } }],
        }),
      ),
    );
    assert.deepEqual(names(paths.flatMap((page) => page.paths)), both);

    await commit.commitLanguages({ repository, revision: Buffer.from(leftCommitId) });
    const [counted, ofLanguages] = await noted(() =>
      commit.commitLanguages({ repository, revision: Buffer.from(rightCommitId) }),
    );
    assert.deepEqual(
      counted.languages.map(({ name, bytes }) => [name, bytes]),
      [['TypeScript', 5n]],
    );

    const started = { ofPatches, ofDeltas, ofStats, ofRaw, ofPaths, ofLanguages };
    for (const [name, commands] of Object.entries(started)) assert.deepEqual(commands, [], name);
  });

  test(`writes to a ${objectFormat} repository start git for branches only`, async (context) => {
    const { repository, connection, noted, tip, metadata } = await start(context, objectFormat);
    const { operation } = connection;
    const write = { repository, user: USER };
    const [before, side, other, third, picked] = await Promise.all(
      ['main', 'side', 'other', 'third', 'picked'].map(tip),
    );
    const calls: Record<string, () => Promise<unknown>> = {
      userCommitFiles: () =>
        operation.userCommitFiles([
          {
            userCommitFilesRequestPayload: {
              case: 'header',
              value: { ...write, branchName: MAIN, commitMessage: MESSAGE },
            },
          },
          action({ case: 'header', value: { filePath: Buffer.from('x') } }),
          action({ case: 'content', value: Buffer.from('new\n') }),
        ]),
      userMergeBranch: () =>
        all(
          operation.userMergeBranch([
            { ...write, branch: MAIN, commitId: side ?? '', message: MESSAGE },
            { apply: true },
          ]),
        ),
      userCherryPick: () =>
        operation.userCherryPick({
          ...write,
          branchName: MAIN,
          commit: { id: picked ?? '' },
          message: MESSAGE,
        }),
      userRevert: () =>
        operation.userRevert({ ...write, branchName: MAIN, commit: { id: picked ?? '' }, message: MESSAGE }),
      userSquash: () =>
        operation.userSquash({
          ...write,
          startSha: before ?? '',
          endSha: other ?? '',
          author: USER,
          commitMessage: MESSAGE,
        }),
      userRebaseConfirmable: () =>
        all(
          operation.userRebaseConfirmable(
            [
              {
                userRebaseConfirmableRequestPayload: {
                  case: 'header',
                  value: {
                    ...write,
                    branch: Buffer.from('third'),
                    branchSha: third ?? '',
                    remoteRepository: repository,
                    remoteBranch: MAIN,
                  },
                },
              },
              { userRebaseConfirmableRequestPayload: { case: 'apply', value: true } },
            ],
            { metadata },
          ),
        ),
      userRebaseToRef: () =>
        operation.userRebaseToRef({
          ...write,
          sourceSha: other ?? '',
          targetRef: Buffer.from('refs/merge-requests/1/head'),
          firstParentRef: Buffer.from('refs/heads/main'),
        }),
      userMergeToRef: () =>
        operation.userMergeToRef({
          ...write,
          sourceSha: other ?? '',
          targetRef: Buffer.from('refs/merge-requests/1/merge'),
          firstParentRef: Buffer.from('refs/heads/main'),
          message: MESSAGE,
        }),
      userCreateTag: () =>
        operation.userCreateTag({
          ...write,
          tagName: Buffer.from('annotated'),
          targetRevision: MAIN,
          message: MESSAGE,
        }),
      userCreateTagOfTag: () =>
        operation.userCreateTag({
          ...write,
          tagName: Buffer.from('light'),
          targetRevision: Buffer.from('v1'),
        }),
      userDeleteTag: () => operation.userDeleteTag({ ...write, tagName: Buffer.from('light') }),
      userCreateBranch: () =>
        operation.userCreateBranch({ ...write, branchName: Buffer.from('new'), startPoint: MAIN }),
      userFFBranch: async () =>
        operation.userFFBranch({ ...write, branch: Buffer.from('side'), commitId: await tip('main') }),
      userDeleteBranch: () => operation.userDeleteBranch({ ...write, branchName: Buffer.from('new') }),
    };

    for (const [name, call] of Object.entries(calls)) {
      const [, commands] = await noted(call);
      const others = commands.filter((command) => command !== MOVES_BRANCHES);
      assert.deepEqual(others, [], name);
    }
    assert.equal(await repository.git(['show', 'main:both.txt']), lines('1', 'two').trimEnd());
  });
}

type Action = { case: 'header'; value: { filePath: Buffer } } | { case: 'content'; value: Buffer };

function action(payload: Action) {
  const value = { userCommitFilesActionPayload: payload };
  return { userCommitFilesRequestPayload: { case: 'action', value } } as const;
}
