import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };
const SECRET = 'outside of every repository';

/** Creates a repository with two branches, and the path of a file that no call may write. */
function fixture(gitaly: TestGitaly): { written: string; secret: string } {
  const directory = initServed(gitaly, 'x.git');
  addCommit(directory, 1);
  addCommit(directory, 2);
  gitOutput(directory, ['branch', 'topic', 'main~1']);
  const secret = join(gitaly.directory, 'secret');
  writeFileSync(secret, SECRET);
  return { written: join(gitaly.directory, 'written'), secret };
}

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

// Before, a request could overwrite a file of the server with git's output: range-diff passes each
// half of a range to a separate `git log`, for which `--output=…` is an option.
for (const [name, spec] of [
  ['the right revision', (option: string) => revisionRange('main', option)],
  ['the left revision', (option: string) => revisionRange(`main...${option}`, 'topic')],
  ['both revisions', (option: string) => revisionRange('/written', option)],
  ['the base', (option: string) => withBase(`main..${option}`, 'main', 'topic')],
  ['a revision behind the base', (option: string) => withBase('main', `main...${option}`, 'topic')],
  ['the second revision behind the base', (option: string) => withBase('main', 'topic', option)],
  ['the first range', (option: string) => rangePair(`main..${option}`, 'main..topic')],
  ['the second range', (option: string) => rangePair('main..topic', `main...${option}`)],
  ['a range of four dots', (option: string) => rangePair(`main....${option}`, 'main..topic')],
  ['the path of a range', (option: string) => rangePair('main..topic', `main:x...${option}`)],
  ['an excluded revision', (option: string) => rangePair(`^${option}`, 'main..topic')],
] as const) {
  test(`range-diff takes no option from ${name}`, async () => {
    await using gitaly = await startGitaly();
    const { written } = fixture(gitaly);
    const rangeSpec = spec(`--output=${written}`);
    const { diff } = gitaly.connection;

    const calls: AsyncIterable<unknown>[] = [
      diff.rangeDiff({ repository, rangeSpec }),
      diff.rawRangeDiff({ repository, rangeSpec }),
    ];

    for (const call of calls) {
      await assert.rejects(collect(call), (error: { code?: string; message: string }) => {
        assert.equal(error.code, 'INTERNAL');
        assert.match(
          error.message,
          /^cmd: positional arg "[^"]*--output=[^"]*" cannot start with dash '-': invalid argument$/,
        );
        return true;
      });
    }
    for (const path of [written, `${written}..main`, `${written}..topic`, `${written}../written`])
      assert.ok(!existsSync(path), `${path} was written`);
  });
}

test('range-diff takes revisions whose names hold dashes', async () => {
  await using gitaly = await startGitaly();
  fixture(gitaly);
  const directory = join(gitaly.storagePath(), 'x.git');
  gitOutput(directory, ['update-ref', 'refs/heads/--output=x', 'main']);
  gitOutput(directory, ['branch', 'a-b', 'main']);

  for (const [rangeSpec, ...ranges] of [
    [rangePair('topic..a-b', 'topic..refs/heads/--output=x'), 'topic..a-b', 'topic..refs/heads/--output=x'],
    [rangePair('main^-', 'a-b^-1'), 'main^-', 'a-b^-1'],
    [revisionRange('a-b', 'refs/heads/--output=x'), 'a-b...refs/heads/--output=x'],
  ] as const) {
    const pairs = await collect(gitaly.connection.diff.rangeDiff({ repository, rangeSpec }));
    const expected = gitOutput(directory, ['range-diff', '--no-patch', ...ranges]);
    assert.equal(pairs.length, expected.split('\n').filter(Boolean).length, ranges.join(' '));
  }
});

test('a dash in the middle of a range is part of a name', async () => {
  await using gitaly = await startGitaly();
  const { written } = fixture(gitaly);
  const option = `--output=${written}`;
  for (const rightCommitId of ['--not', option])
    await assert.rejects(
      collect(gitaly.connection.diff.rawPatch({ repository, leftCommitId: 'topic', rightCommitId })),
      { code: 'INTERNAL', message: 'cmd: exit status 128' },
    );
  for (const revision of [`^${option}`, `main..${option}`, `main...${option}`])
    await assert.rejects(
      collect(gitaly.connection.commit.listCommits({ repository, revisions: [revision] })),
      { code: 'INTERNAL', message: /exit status 128/ },
    );
  assert.ok(!existsSync(written));
});

// `git diff` compares two arguments as files when they are paths outside of the repository.
test('two paths are not compared as files', async () => {
  await using gitaly = await startGitaly();
  const { secret } = fixture(gitaly);
  const { diff } = gitaly.connection;
  for (const [leftCommitId, rightCommitId] of [
    [secret, '/dev/null'],
    ['/dev/null', secret],
    [secret, 'main'],
    ['../../secret', '/dev/null'],
  ] as const) {
    const request = { repository, leftCommitId, rightCommitId };
    for (const call of [
      () => collect(diff.commitDiff(request)),
      () => collect(diff.commitDelta(request)),
      () => collect(diff.rawDiff(request)),
      () => collect(diff.rawPatch(request)),
      () => collect(diff.diffStats(request)),
      async () =>
        await diff.getPatchID({
          repository,
          oldRevision: Buffer.from(leftCommitId),
          newRevision: Buffer.from(rightCommitId),
        }),
    ])
      await assert.rejects(call, /exit status 128/);
  }
});

function revisionRange(rev1: string, rev2: string) {
  return { case: 'revisionRange', value: { rev1, rev2 } } as const;
}

function rangePair(range1: string, range2: string) {
  return { case: 'rangePair', value: { range1, range2 } } as const;
}

function withBase(base: string, rev1: string, rev2: string) {
  return { case: 'baseWithRevisions', value: { base, rev1, rev2 } } as const;
}
