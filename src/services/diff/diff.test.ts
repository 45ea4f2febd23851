import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { randomTrees } from '#testkit/repositories/generated/random-trees';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { randomHistory, seededRandom } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { outputSync } from '#testkit/run-program-sync';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { type ChangedPaths, ChangedPaths_Status, type CommitDiffResponse } from '#wire/gen/diff_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };
const HEX_LENGTHS = { sha1: 40, sha256: 64 } as const;
const TREES = 40;
const MAX_PIECE_BYTES = 5120;

interface Fixture {
  readonly directory: string;
  /** Returns git's output, every byte of it. */
  git(...args: string[]): string;
  /** Returns the same output as lines in Latin-1. */
  lines(...args: string[]): string[];
}

function fixture(gitaly: TestGitaly, objectFormat: keyof typeof HEX_LENGTHS, seed: number): Fixture {
  const directory = initServed(gitaly, 'x.git', { objectFormat });
  const stream = randomTrees(seededRandom(seed), { count: TREES, hexLength: HEX_LENGTHS[objectFormat] });
  gitOutput(directory, ['fast-import', '--quiet', '--done'], stream);
  const git = (...args: string[]) =>
    outputSync('git', args, { cwd: directory, env: GIT_ENVIRONMENT }).toString('latin1');
  return {
    directory,
    git,
    lines: (...args) =>
      git(...args)
        .split('\0')
        .slice(0, -1),
  };
}

const latin1 = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('latin1');

/** A file as CommitDiff shows it, its patch put together. */
interface Shown {
  readonly head: string;
  readonly patch: string;
}

function shownFiles(messages: readonly CommitDiffResponse[]): Shown[] {
  const files: Shown[] = [];
  let isNew = true;
  for (const message of messages) {
    assert.ok(message.rawPatchData.length <= MAX_PIECE_BYTES);
    const { fromPath, toPath, fromId, toId, oldMode, newMode, binary, linesAdded, linesRemoved } = message;
    const last = files.at(-1);
    if (isNew || last === undefined) {
      const ids = `${oldMode.toString(8)} ${newMode.toString(8)} ${fromId} ${toId}`;
      const head =
        `${ids} ${latin1(fromPath)}|${latin1(toPath)} +${linesAdded} ` +
        `-${linesRemoved}${binary ? ' binary' : ''}`;
      files.push({ head, patch: latin1(message.rawPatchData) });
    } else {
      assert.deepEqual([toId, newMode, latin1(toPath)], ['', 0, ''], 'a later message has only the patch');
      files[files.length - 1] = { ...last, patch: last.patch + latin1(message.rawPatchData) };
    }
    isNew = message.endOfPatch;
  }
  assert.ok(isNew, 'the last message ends a patch');
  return files;
}

/** Returns the files of git's output: raw records and the text of the patches, joined. */
function expectedFiles({ git, lines }: Fixture, left: string, right: string, hexLength: number): Shown[] {
  const flags = ['--no-ext-diff', '-M30%', `--abbrev=${hexLength}`];
  const raw = lines('diff', '--raw', '-z', ...flags, left, right);
  const sections = git('diff', '--full-index', ...flags, left, right)
    .split(/^(?=diff --git )/m)
    .filter(Boolean);
  const files: Shown[] = [];
  const add = (ids: string, paths: string): void => {
    const patch = /^(@@|Binary )[\s\S]*/m.exec(sections.shift() ?? '')?.[0] ?? '';
    const binary = patch.startsWith('Binary') ? ' binary' : '';
    const body = patch.split('\n').filter((line) => !line.startsWith('@@'));
    const [added, removed] = ['+', '-'].map((sign) => body.filter((line) => line.startsWith(sign)).length);
    files.push({ head: `${ids} ${paths} +${added} -${removed}${binary}`, patch });
  };
  const zero = '0'.repeat(hexLength);
  const short = (mode = '') => Number.parseInt(mode, 8).toString(8);
  while (raw.length > 0) {
    const [oldMode, newMode, from, to, status = ''] = (raw.shift() ?? '').slice(1).split(' ');
    const path = raw.shift() ?? '';
    const toPath = /^[RC]/.test(status) ? raw.shift() : path;
    if (status === 'T') {
      add(`${short(oldMode)} 0 ${from} ${zero}`, `${path}|${path}`);
      add(`0 ${short(newMode)} ${zero} ${to}`, `${path}|${path}`);
    } else {
      add(`${short(oldMode)} ${short(newMode)} ${from} ${to}`, `${path}|${toPath}`);
    }
  }
  return files;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  const hexLength = HEX_LENGTHS[objectFormat];

  test(`CommitDiff shows what git shows of odd trees in a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const made = fixture(gitaly, objectFormat, hexLength);

    for (let tree = 1; tree < TREES; tree++) {
      const [leftCommitId, rightCommitId] = [`t${tree - 1}`, `t${tree}`];
      const messages = await Array.fromAsync(
        gitaly.connection.diff.commitDiff({ repository, leftCommitId, rightCommitId }),
      );

      assert.deepEqual(
        shownFiles(messages),
        expectedFiles(made, leftCommitId, rightCommitId, hexLength),
        `${leftCommitId}..${rightCommitId}`,
      );
    }
  });

  test(`all diffs agree with git about unusual trees in a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const { git, lines, directory } = fixture(gitaly, objectFormat, hexLength + 1);
    const { diff } = gitaly.connection;

    for (let tree = 1; tree < TREES; tree += 3) {
      const sides = { repository, leftCommitId: `t${tree - 1}`, rightCommitId: `t${tree}` };
      const words = [sides.leftCommitId, sides.rightCommitId];

      const stats = (await Array.fromAsync(diff.diffStats(sides))).flatMap((message) => message.stats);
      const counted = stats.flatMap(({ additions, deletions, path, oldPath }) =>
        oldPath.length > 0
          ? [`${additions}\t${deletions}\t`, latin1(oldPath), latin1(path)]
          : [`${additions}\t${deletions}\t${latin1(path)}`],
      );
      assert.deepEqual(
        counted,
        lines('diff', '--numstat', '-z', ...words).map((line) => line.replace(/^-\t-\t/, '0\t0\t')),
      );

      const deltas = (await Array.fromAsync(diff.commitDelta(sides))).flatMap((message) => message.deltas);
      const expected = lines('diff', '--raw', '-z', `--abbrev=${hexLength}`, ...words).filter((line) =>
        line.startsWith(':'),
      );
      const typeChanges = expected.filter((line) => line.endsWith(' T')).length;
      assert.equal(deltas.length, expected.length + typeChanges);

      const raw = Buffer.concat(
        (await Array.fromAsync(diff.rawDiff(sides))).map(({ data }) => data),
      ).toString('latin1');
      assert.equal(raw, git('diff', '--full-index', ...words));

      const mails = Buffer.concat(
        (await Array.fromAsync(diff.rawPatch(sides))).map(({ data }) => data),
      ).toString('latin1');
      assert.equal(
        mails,
        git('format-patch', '--stdout', '--always', '--signature', 'GitLab', words.join('..')),
      );

      if (raw === '') continue;
      for (const contextFree of [false, true]) {
        const { patchId } = await diff.getPatchID({
          repository,
          oldRevision: Buffer.from(words[0] ?? ''),
          newRevision: Buffer.from(words[1] ?? ''),
          contextFree,
        });
        const ownGit = outputSync('git', ['patch-id', '--verbatim'], {
          cwd: '/',
          input: Buffer.from(contextFree ? git('diff', '--full-index', '-U0', ...words) : raw, 'latin1'),
        });
        assert.equal(patchId, ownGit.toString().split(' ')[0], directory);
      }
    }
  });

  test(`DiffBlobs of changed paths equals CommitDiff in a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const { directory } = fixture(gitaly, objectFormat, hexLength + 2);
    const { diff } = gitaly.connection;
    const before = gitOutput(directory, ['count-objects', '-v']);

    for (let tree = 1; tree < TREES; tree += 2) {
      const [left, right] = [`t${tree - 1}`, `t${tree}`];
      const trees = { leftTreeRevision: left, rightTreeRevision: right };
      const requests = [{ type: { case: 'treeRequest', value: trees } as const }];
      const listed = await Array.fromAsync(
        diff.findChangedPaths({ repository, requests, findRenames: true }),
      );
      const rawInfo: ChangedPaths[] = listed.flatMap(({ paths }) => paths);
      if (rawInfo.length === 0) continue;

      const blobs = await Array.fromAsync(diff.diffBlobs({ repository, rawInfo }));

      const files = await Array.fromAsync(
        diff.commitDiff({ repository, leftCommitId: left, rightCommitId: right }),
      );
      assert.deepEqual(
        blobs.map(({ leftBlobId, rightBlobId, patch, binary, linesAdded }) => [
          leftBlobId,
          rightBlobId,
          latin1(patch),
          binary,
          linesAdded,
        ]),
        files.map(({ fromId, toId, rawPatchData, binary, linesAdded }) => [
          fromId,
          toId,
          latin1(rawPatchData),
          binary,
          linesAdded,
        ]),
      );
    }
    assert.equal(gitOutput(directory, ['count-objects', '-v']), before);
    assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
  });

  test(`DiffBlobs compares many pairs in order in a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const directory = initServed(gitaly, 'x.git', { objectFormat });
    const contents = Array.from({ length: 12 }, (_, index) => `${index}\n`.repeat(index + 1));
    const oids = contents.map((content) => gitOutput(directory, ['hash-object', '-w', '--stdin'], content));
    const zero = '0'.repeat(hexLength);
    const blobPairs = oids.map((oid, index) => ({
      leftBlob: Buffer.from(index % 3 === 0 ? zero : (oids[index - 1] ?? '')),
      rightBlob: Buffer.from(index % 3 === 1 ? zero : oid),
    }));

    const answers = await Array.fromAsync(gitaly.connection.diff.diffBlobs({ repository, blobPairs }));

    assert.deepEqual(
      answers.map(({ leftBlobId, rightBlobId, linesAdded, linesRemoved }) => [
        leftBlobId,
        rightBlobId,
        linesAdded,
        linesRemoved,
      ]),
      blobPairs.map(({ leftBlob, rightBlob }, index) => [
        leftBlob.toString(),
        rightBlob.toString(),
        index % 3 === 1 ? 0 : index + 1,
        index % 3 === 0 ? 0 : index,
      ]),
    );
    assert.equal(gitOutput(directory, ['count-objects']).startsWith('12 objects'), true);
    assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
  });
}

test('CommitDiff with ignored white space shows every file once', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const names = Array.from({ length: 700 }, (_, index) => `${index % 2 === 0 ? 'space' : 'text'}[${index}]`);
  const commit = (branch: string, contentOf: (name: string) => string) =>
    `commit refs/heads/${branch}\ncommitter C <c@example.com> 1600000000 +0000\ndata 0\ndeleteall\n${names
      .map((name) => `M 100644 inline ${name}\ndata ${contentOf(name).length}\n${contentOf(name)}\n`)
      .join('')}`;
  const changed = (name: string) => (name.startsWith('space') ? 'a  b\n' : 'c\n');
  gitOutput(directory, ['fast-import', '--quiet'], commit('left', () => 'a b\n') + commit('right', changed));

  const sides = { repository, leftCommitId: 'left', rightCommitId: 'right' };
  const messages = await Array.fromAsync(
    gitaly.connection.diff.commitDiff({ ...sides, whitespaceChanges: 2 }),
  );

  const shown = messages.map(
    ({ toPath, rawPatchData, linesAdded }) => `${latin1(toPath)} ${rawPatchData.length > 0} ${linesAdded}`,
  );
  assert.deepEqual(shown.toSorted(), names.map((name) => `${name} ${name.startsWith('text')} 1`).toSorted());
});

// Before, clients that set the option to ignore white space received all such changes.
test('CommitDiff ignores changes of white space for clients of 15.0, who know no other kind', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const commit = (branch: string, files: string) =>
    `commit refs/heads/${branch}\ncommitter C <c@example.com> 1600000000 +0000\ndata 0\ndeleteall\n${files}`;
  const left = 'M 100644 inline amount\ndata 4\na b\n\nM 100644 inline all\ndata 3\nab\n\n';
  const right = 'M 100644 inline amount\ndata 5\na  b\n\nM 100644 inline all\ndata 4\na b\n\n';
  gitOutput(directory, ['fast-import', '--quiet'], commit('left', left) + commit('right', right));

  const sides = { repository, leftCommitId: 'left', rightCommitId: 'right' };
  const messages = await Array.fromAsync(
    gitaly.connection.diff.commitDiff({ ...sides, ignoreWhitespaceChange: true }),
  );

  const shown = messages.map(({ toPath, rawPatchData }) => [latin1(toPath), latin1(rawPatchData)]);
  const printed = gitOutput(directory, ['diff', '--ignore-space-change', 'left', 'right']);
  assert.deepEqual(shown, [
    ['all', `${printed.slice(printed.indexOf('@@'))}\n`],
    ['amount', ''],
  ]);
});

test('FindChangedPaths puts paths together into messages below 1 MiB', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const names = Array.from({ length: 12_000 }, (_, index) => `dir/${String(index).padStart(100, '0')}`);
  const files = names.map((name) => `M 100644 inline ${name}\ndata 1\nx\n`).join('');
  gitOutput(
    directory,
    ['fast-import', '--quiet'],
    `commit refs/heads/main\ncommitter C <c@example.com> 1 +0000\ndata 0\n${files}`,
  );

  const requests = [{ type: { case: 'commitRequest', value: { commitRevision: 'main' } } as const }];
  const messages = await Array.fromAsync(gitaly.connection.diff.findChangedPaths({ repository, requests }));

  const oid = gitOutput(directory, ['rev-parse', 'main']);
  assert.deepEqual(
    messages.flatMap(({ paths }) => paths.map(({ path }) => latin1(path))),
    names,
  );
  assert.ok(messages.every(({ paths }) => paths.every(({ commitId }) => commitId === oid)));
  assert.ok(messages.length === 3 && messages.slice(0, -1).every(({ paths }) => paths.length > 4000));
});

test('DiffBlobs names both paths of a binary file that was renamed', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const [oldBlobId = '', newBlobId = ''] = ['\0a', '\0b'].map((content) =>
    gitOutput(directory, ['hash-object', '-w', '--stdin'], content),
  );
  const change = {
    status: ChangedPaths_Status.RENAMED,
    oldMode: 0o100644,
    newMode: 0o100644,
    oldBlobId,
    newBlobId,
  } as const;
  const rawInfo = [{ ...change, oldPath: Buffer.from('old'), path: Buffer.from('t\tab') }];

  const [answer] = await Array.fromAsync(gitaly.connection.diff.diffBlobs({ repository, rawInfo }));

  assert.deepEqual(
    [latin1(answer?.patch), answer?.patchSize],
    ['Binary files a/old and "b/t\\tab" differ\n', 40],
  );
});

test('DiffBlobs drops output beyond a limit, and nothing where there is no patch of the file', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const [oldBlobId = '', newBlobId = ''] = ['a', 'b'].map((content) =>
    gitOutput(directory, ['hash-object', '-w', '--stdin'], content),
  );
  const change = {
    status: ChangedPaths_Status.MODIFIED,
    oldMode: 0o100644,
    newMode: 0o100644,
    oldBlobId,
    newBlobId,
  };
  const [path, oldPath] = [Buffer.from('new'), Buffer.from('old')];
  const renamed = { ...change, status: ChangedPaths_Status.RENAMED, path, oldPath };
  // git prints two patches of a file that becomes a link, and the second one hides those of all
  // later files.
  const rawInfo = [
    { ...renamed, newBlobId: oldBlobId },
    { ...renamed, oldMode: 0, newMode: 0 },
    { ...change, path, newMode: 0o120000 },
    renamed,
  ];

  const answers = await Array.fromAsync(
    gitaly.connection.diff.diffBlobs({ repository, rawInfo, patchBytesLimit: -1 }),
  );

  assert.deepEqual(
    answers.map(({ overPatchBytesLimit }) => overPatchBytesLimit),
    [true, false, true, false],
  );
});

test('DiffBlobs refuses changes that git cannot read', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const oid = gitOutput(directory, ['hash-object', '-w', '--stdin'], 'x');
  const tree = gitOutput(directory, ['mktree'], '');
  const change = {
    status: ChangedPaths_Status.MODIFIED,
    oldMode: 0o100644,
    newMode: 0o100644,
    oldBlobId: oid,
    newBlobId: oid,
    path: Buffer.from('a'),
  } as const;

  for (const bad of [
    { oldMode: 0o040000, oldBlobId: tree },
    { newMode: 0o040000, newBlobId: tree },
    { newBlobId: oid.slice(1) },
    { path: Buffer.from('a\0b') },
    { status: ChangedPaths_Status.RENAMED, oldPath: Buffer.from('a\0b') },
  ])
    await assert.rejects(
      Array.fromAsync(gitaly.connection.diff.diffBlobs({ repository, rawInfo: [{ ...change, ...bad }] })),
      /exit status 128/,
      JSON.stringify(bad),
    );
});

test('CommitStats counts what git counts of commits with several parents, with one and without', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  gitOutput(directory, ['fast-import', '--quiet', '--done'], randomHistory(seededRandom(7), 30));

  for (let mark = 1; mark <= 30; mark++) {
    const { oid, additions, deletions, files } = await gitaly.connection.commit.commitStats({
      repository,
      revision: Buffer.from(`c${mark}`),
    });

    const empty = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
    const parent = gitOutput(directory, ['rev-list', '--parents', '-1', `c${mark}`])
      .split(' ')
      .at(1);
    const lines = gitOutput(directory, ['diff', '--numstat', parent ?? empty, `c${mark}`])
      .split('\n')
      .filter(Boolean);
    const sum = (column: number) =>
      lines.reduce((total, line) => total + Number(line.split('\t')[column]), 0);
    assert.deepEqual(
      [oid, additions, deletions, files],
      [gitOutput(directory, ['rev-parse', `c${mark}`]), sum(0), sum(1), lines.length],
    );
  }
});
