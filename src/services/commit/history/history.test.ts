import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { slowly } from '#testkit/faults/slowly';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { idsOf, withHistory } from '#testkit/values/commit-histories';
import {
  FindAllCommitsRequest_Order,
  FindCommitsRequest_Order,
  type FindCommitsResponse,
  ListCommitsRequest_Order,
  type ListCommitsResponse,
} from '#wire/gen/commit_pb';

const MIB = 1024 * 1024;
const repository = { storageName: 'default', relativePath: 'x.git' };

const bytes = (text: string): Buffer => Buffer.from(text);
const lines = (text: string): string[] => text.split('\n').filter(Boolean);

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  return await Array.fromAsync(messages);
}

/** Commits one after the other on `main`, each with a message of the given size in bytes. */
function withMessages(
  gitaly: TestGitaly,
  { count, messageBytes }: { count: number; messageBytes: number },
): string {
  const path = initServed(gitaly, 'x.git');
  const message = 'm'.repeat(messageBytes);
  const stream = Array.from({ length: count }, (_, index) => {
    return (
      `commit refs/heads/main\ncommitter C <c@x> ${1_600_000_000 + index} +0000\n` +
      `data ${message.length}\n${message}\n`
    );
  });
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], stream.join(''));
  return path;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`ListCommits walks a ${objectFormat} repository as git rev-list does`, async () => {
    await using gitaly = await startGitaly();
    const ask = withHistory(gitaly, { objectFormat });
    const { commit } = gitaly.connection;
    const at = (seconds: number) => ({ seconds: BigInt(seconds) });
    const cases: [() => AsyncIterable<ListCommitsResponse>, string[]][] = [
      [() => commit.listCommits({ repository, revisions: ['main'] }), ['main']],
      [() => commit.listCommits({ repository, revisions: ['main', '^c30'] }), ['main', '^c30']],
      [() => commit.listCommits({ repository, revisions: ['c20..main'] }), ['c20..main']],
      [() => commit.listCommits({ repository, revisions: ['--all'] }), ['--all']],
      [
        () => commit.listCommits({ repository, revisions: ['main', '--not', '--glob=refs/heads/c1*'] }),
        ['main', '--not', '--glob=refs/heads/c1*'],
      ],
      [
        () => commit.listCommits({ repository, revisions: ['main'], order: ListCommitsRequest_Order.TOPO }),
        ['--topo-order', 'main'],
      ],
      [
        () =>
          commit.listCommits({
            repository,
            revisions: ['main'],
            order: ListCommitsRequest_Order.DATE,
            reverse: true,
          }),
        ['--date-order', '--reverse', 'main'],
      ],
      [() => commit.listCommits({ repository, revisions: ['main'], maxParents: 1 }), ['--no-merges', 'main']],
      [
        () => commit.listCommits({ repository, revisions: ['main'], firstParent: true, skip: 3 }),
        ['--first-parent', '--skip=3', 'main'],
      ],
      [
        () => commit.listCommits({ repository, revisions: ['c3', 'c9', 'c5'], disableWalk: true }),
        ['--no-walk', 'c3', 'c9', 'c5'],
      ],
      [
        () => commit.listCommits({ repository, revisions: ['main'], after: at(1_600_000_600) }),
        ['--after=1600000600', 'main'],
      ],
      [
        () => commit.listCommits({ repository, revisions: ['main'], before: at(1_600_000_600) }),
        ['--before=1600000600', 'main'],
      ],
      [
        () => commit.listCommits({ repository, revisions: ['main'], paths: [bytes('d')] }),
        ['main', '--', 'd'],
      ],
      [
        () => commit.listCommits({ repository, revisions: ['main'], paths: [bytes('?')] }),
        ['main', '--', '?'],
      ],
      [
        () =>
          commit.listCommits({
            repository,
            revisions: ['main'],
            paths: [bytes('?')],
            globalOptions: { literalPathspecs: true },
          }),
        ['main', '--', ':(literal)?'],
      ],
      [
        () => commit.listCommits({ repository, revisions: ['main'], author: bytes('nobody') }),
        ['--author=nobody', 'main'],
      ],
      [
        () => commit.listCommits({ repository, revisions: ['main'], author: bytes('^c '), ignoreCase: true }),
        ['--author=^c ', '-i', 'main'],
      ],
      [
        () =>
          commit.listCommits({
            repository,
            revisions: ['main'],
            commitMessagePatterns: [bytes('x'), bytes('m')],
          }),
        ['--grep=x', '--grep=m', 'main'],
      ],
    ];

    for (const [call, args] of cases) {
      const expected = lines(ask('rev-list', ...args));
      assert.deepEqual(await idsOf(call()), expected, args.join(' '));
    }
  });
}

test('ListCommits gives pages that make up the whole, and a cursor on all but the last', async () => {
  await using gitaly = await startGitaly();
  const ask = withHistory(gitaly);
  const { commit } = gitaly.connection;

  for (const reverse of [false, true]) {
    const all = lines(ask('rev-list', ...(reverse ? ['--reverse'] : []), 'main'));
    for (const limit of [1, 7, all.length - 1, all.length, all.length + 1]) {
      const seen: string[] = [];
      let pageToken = '';
      do {
        const paginationParams = { limit, pageToken };
        const messages = await collect(
          commit.listCommits({ repository, revisions: ['main'], reverse, paginationParams }),
        );
        const page = messages.flatMap(({ commits }) => commits.map(({ id }) => id));
        pageToken = messages.at(-1)?.paginationCursor?.nextCursor ?? '';
        seen.push(...page);
        if (pageToken !== '') assert.deepEqual([page.length, page.at(-1)], [limit, pageToken]);
      } while (pageToken !== '');
      assert.deepEqual(seen, all);
    }
  }
  const unknown = { limit: 5, pageToken: '1'.repeat(40) };
  assert.deepEqual(
    await collect(commit.listCommits({ repository, revisions: ['main'], paginationParams: unknown })),
    [],
  );
});

test('lists of commits are sent in messages below 1 MiB, with the cursor in the last', async () => {
  await using gitaly = await startGitaly();
  const path = withMessages(gitaly, { count: 500, messageBytes: 9_000 });
  const { commit } = gitaly.connection;

  const paginationParams = { limit: 400 };
  const messages = await collect(commit.listCommits({ repository, revisions: ['main'], paginationParams }));

  const ids = messages.flatMap(({ commits }) => commits.map(({ id }) => id));
  assert.deepEqual(ids, lines(gitOutput(path, ['rev-list', '--max-count=400', 'main'])));
  assert.ok(
    messages.length >= 4 &&
      messages.every(({ commits }) => commits.length > 0 && commits.length * 9_000 < MIB),
  );
  assert.deepEqual(
    messages.map(({ paginationCursor }) => paginationCursor?.nextCursor),
    messages.map((_, index) => (index === messages.length - 1 ? ids.at(-1) : undefined)),
  );
  assert.deepEqual(
    await idsOf(commit.findAllCommits({ repository })),
    lines(gitOutput(path, ['rev-list', 'main'])),
  );
  assert.deepEqual(
    (await idsOf(commit.listAllCommits({ repository }))).toSorted(),
    lines(gitOutput(path, ['rev-list', '--all'])).toSorted(),
  );
});

test('a reader that leaves, one that aborts and one that is slow do not disturb the next one', async () => {
  await using gitaly = await startGitaly();
  withMessages(gitaly, { count: 3_000, messageBytes: 9_000 });
  const { commit } = gitaly.connection;
  const request = { repository, revisions: ['main'] };

  for await (const _ of commit.listCommits(request)) break;
  await assert.rejects(async () => {
    const aborting = new AbortController();
    for await (const _ of commit.listCommits(request, { signal: aborting.signal })) aborting.abort();
  }, GitalyError);
  let count = 0;
  for await (const { commits } of slowly(commit.listCommits(request), 5)) count += commits.length;

  assert.equal(count, 3_000);
});

test('ListCommits says what git says about a revision that it does not know', async () => {
  await using gitaly = await startGitaly();
  withHistory(gitaly, { count: 3 });

  await assert.rejects(
    collect(gitaly.connection.commit.listCommits({ repository, revisions: ['main', 'no-such'] })),
    {
      code: 'INTERNAL',
      message:
        'iterating objects: rev-list pipeline command: exit status 128, stderr: "fatal: bad ' +
        `revision 'no-such'\\n"`,
    },
  );
});

test('FindCommits gives the pages of git log', async () => {
  await using gitaly = await startGitaly();
  const ask = withHistory(gitaly);
  const { commit } = gitaly.connection;
  const main = bytes('main');
  const cases: [() => AsyncIterable<FindCommitsResponse>, string[]][] = [
    [() => commit.findCommits({ repository, revision: main, limit: 10 }), ['-10', 'main']],
    [
      () => commit.findCommits({ repository, revision: main, limit: 10, offset: 7 }),
      ['-10', '--skip=7', 'main'],
    ],
    [() => commit.findCommits({ repository, limit: -1 }), ['main']],
    [
      () => commit.findCommits({ repository, revision: main, limit: 10, firstParent: true }),
      ['-10', '--first-parent', 'main'],
    ],
    [
      () => commit.findCommits({ repository, revision: main, limit: 10, skipMerges: true }),
      ['-10', '--no-merges', 'main'],
    ],
    [
      () =>
        commit.findCommits({ repository, revision: main, limit: 10, order: FindCommitsRequest_Order.TOPO }),
      ['-10', '--topo-order', 'main'],
    ],
    [
      () => commit.findCommits({ repository, revision: main, limit: 5, paths: [bytes('a'), bytes('d/x')] }),
      ['-5', 'main', '--', 'a', 'd/x'],
    ],
    [
      () => commit.findCommits({ repository, revision: main, limit: 5, paths: [bytes('a')], follow: true }),
      ['-5', '--follow', 'main', '--', 'a'],
    ],
    [
      () => commit.findCommits({ repository, limit: 10, offset: 3, all: true }),
      ['-10', '--skip=3', '--all', '--reverse'],
    ],
    [() => commit.findCommits({ repository, revision: bytes('c9..main'), limit: 100 }), ['c9..main']],
    [
      () => commit.findCommits({ repository, revision: main, limit: 3, messageRegex: 'M' }),
      ['-3', '-i', '--grep=M', 'main'],
    ],
  ];

  for (const [call, args] of cases) {
    const expected = lines(ask('log', '--format=%H', ...args));
    assert.deepEqual(await idsOf(call()), expected, args.join(' '));
  }
  assert.deepEqual(
    await collect(commit.findCommits({ repository, revision: main })),
    [],
    'no limit is a limit of 0',
  );
  const follow = { repository, revision: main, paths: [bytes('a')], follow: true };
  assert.deepEqual(
    await idsOf(commit.findCommits({ ...follow, limit: 3, offset: 2 })),
    (await idsOf(commit.findCommits({ ...follow, limit: 5 }))).slice(2),
  );
});

test('FindCommits tells statistics, references and trailers as git does', async () => {
  await using gitaly = await startGitaly();
  const ask = withHistory(gitaly);
  const path = join(gitaly.storagePath(), 'x.git');
  const message = 'subject\n\nbody\n\nSigned-off-by: A <a@x>\nChange: \x02\x03 odd\n';
  const oid = gitOutput(path, ['commit-tree', '-p', 'main', '-m', message, 'main^{tree}']);
  ask('update-ref', 'refs/heads/main', oid);

  const commits = (
    await collect(
      gitaly.connection.commit.findCommits({
        repository,
        revision: bytes('main'),
        limit: -1,
        trailers: true,
        includeShortstat: true,
        includeReferencedBy: [bytes('refs/heads/c*'), bytes('refs/heads/main')],
      }),
    )
  ).flatMap((response) => response.commits);

  assert.deepEqual(
    commits.map(({ id }) => id),
    lines(ask('log', '--format=%H', 'main')),
  );
  assert.deepEqual(
    commits[0]?.trailers.map(({ key, value }) => [`${Buffer.from(key)}`, `${Buffer.from(value)}`]),
    [
      ['Signed-off-by', 'A <a@x>'],
      ['Change', '\x02\x03 odd'],
    ],
  );
  for (const { id, shortStats, referencedBy } of commits) {
    const refs = lines(ask('for-each-ref', '--points-at', id, '--format=%(refname)'));
    assert.deepEqual(referencedBy.map((name) => `${Buffer.from(name)}`).toSorted(), refs.toSorted());
    const stats = /(\d+) files? changed(?:, (\d+) ins[^,]*)?(?:, (\d+) del)?/.exec(
      ask('log', '-1', '--format=', '--shortstat', id),
    );
    const expected = stats === null ? undefined : [stats[1], stats[2] ?? 0, stats[3] ?? 0].map(Number);
    assert.deepEqual(
      shortStats && [shortStats.changedFiles, shortStats.additions, shortStats.deletions],
      expected,
    );
  }
});

test('counts of commits, LastCommitForPath and CommitsByMessage agree with git', async () => {
  await using gitaly = await startGitaly();
  const ask = withHistory(gitaly);
  const { commit } = gitaly.connection;
  const main = bytes('main');
  const count = (...args: string[]): number => Number(ask('rev-list', '--count', ...args));

  assert.equal((await commit.countCommits({ repository, revision: main })).count, count('main'));
  assert.equal((await commit.countCommits({ repository, all: true })).count, count('--all'));
  const not = [bytes('--branches'), bytes('--not'), bytes('c40')];
  assert.equal(
    (await commit.countCommits({ repository, revisions: not })).count,
    count('--branches', '--not', 'c40'),
  );
  assert.equal(
    (await commit.countCommits({ repository, revision: main, path: bytes('d') })).count,
    count('main', '--', 'd'),
  );
  assert.equal((await commit.countCommits({ repository, revision: main, maxCount: 5 })).count, 5);
  assert.equal((await commit.countCommits({ repository, revision: bytes('no-such') })).count, 0);

  const { leftCount, rightCount } = await commit.countDivergingCommits({
    repository,
    from: bytes('c50'),
    to: main,
  });
  assert.equal(`${leftCount}\t${rightCount}`, ask('rev-list', '--count', '--left-right', 'c50...main'));

  for (const path of ['', 'a', 'd', 'd/e', 'd/e/*', 'no-such']) {
    const found = await commit.lastCommitForPath({ repository, revision: main, path: bytes(path) });
    assert.equal(
      found.commit?.id ?? '',
      ask('log', '-1', '--format=%H', 'main', '--', path === '' ? '.' : path),
      path,
    );
  }
  const order = FindAllCommitsRequest_Order.TOPO;
  assert.deepEqual(
    await idsOf(commit.findAllCommits({ repository, maxCount: 20, skip: 2, order })),
    lines(ask('rev-list', '--branches', '--topo-order', '--skip=2', '--max-count=20')),
  );
  assert.deepEqual(
    await idsOf(commit.commitsByMessage({ repository, query: '^M$', limit: 4, offset: 1, path: bytes('d') })),
    lines(ask('log', '-4', '--skip=1', '-i', '--grep=^M$', '--format=%H', 'main', '--', 'd')),
  );
});

test('ListLastCommitsForTree gives ten commits a message, directories first', async () => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, 'x.git');
  const stream: string[] = [];
  for (let index = 0; index < 23; index++) {
    stream.push(`commit refs/heads/main\ncommitter C <c@x> ${1_600_000_000 + index} +0000\ndata 0\n`);
    stream.push(`M 100644 inline ${index % 3 === 0 ? `dir-${index}/file` : `file-${index}`}\ndata 1\nx\n`);
  }
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], stream.join(''));

  const messages = await collect(
    gitaly.connection.commit.listLastCommitsForTree({ repository, revision: 'main', limit: 100, offset: 1 }),
  );

  assert.deepEqual(
    messages.map(({ commits }) => commits.length),
    [10, 10, 2],
  );
  const entries = messages.flatMap(({ commits }) =>
    commits.map((each) => [`${Buffer.from(each.pathBytes)}`, each.commit?.id]),
  );
  const names = lines(gitOutput(path, ['ls-tree', '--name-only', 'main']));
  const sorted = [
    ...names.filter((name) => name.startsWith('dir')),
    ...names.filter((name) => name.startsWith('file')),
  ];
  const expected = sorted.map((name) => [
    name,
    gitOutput(path, ['log', '-1', '--format=%H', 'main', '--', name]),
  ]);
  assert.deepEqual(entries, expected.slice(1));
});

// Before, Rails showed no file list at all: RESOURCE_EXHAUSTED, "object of … bytes exceeds 1048576
// bytes".
test('ListLastCommitsForTree walks past commits of any size, and names them', async () => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, 'x.git');
  const stream: string[] = [];
  for (let index = 0; index < 40; index++) {
    const message = 'm'.repeat(index === 12 || index === 39 ? 2 * MIB : index === 25 ? 1.2 * MIB : 1);
    stream.push(`commit refs/heads/main\ncommitter C <c@x> ${1_600_000_000 + index} +0000\n`);
    stream.push(`data ${message.length}\n${message}\nM 100644 inline file-${index % 30}\ndata 2\n${index}\n`);
  }
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], stream.join(''));

  const messages = await collect(
    gitaly.connection.commit.listLastCommitsForTree({ repository, revision: 'main', limit: 100 }),
  );

  const entries = messages.flatMap(({ commits }) =>
    commits.map((each) => [`${Buffer.from(each.pathBytes)}`, each.commit?.id]),
  );
  const names = lines(gitOutput(path, ['ls-tree', '--name-only', 'main']));
  const last = (name: string) => gitOutput(path, ['log', '-1', '--format=%H', 'main', '--', name]);
  assert.deepEqual(
    entries,
    names.map((name) => [name, last(name)]),
  );
});

test('CommitIsAncestor answers about near commits without starting git once it has a process', async () => {
  await using gitaly = await startGitaly();
  const ask = withHistory(gitaly);
  const { commit } = gitaly.connection;
  const [childId = '', ancestorId = ''] = lines(ask('rev-list', '--first-parent', '-4', 'main')).filter(
    (_, index) => index % 3 === 0,
  );
  await commit.commitIsAncestor({ repository, ancestorId, childId });
  const before = gitaly.log.length;

  const answers = await Promise.all([
    commit.commitIsAncestor({ repository, ancestorId, childId }),
    commit.commitIsAncestor({ repository, ancestorId: childId, childId: ancestorId }),
    commit.commitIsAncestor({ repository, ancestorId, childId: ancestorId }),
  ]);

  assert.deepEqual(
    answers.map(({ value }) => value),
    [true, false, true],
  );
  const calls = gitaly.log.slice(before).filter((line) => String(line['grpc.method']) === 'CommitIsAncestor');
  assert.ok(calls.length > 0 && calls.every((line) => line['command.count'] === undefined));
});
