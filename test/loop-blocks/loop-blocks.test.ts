import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, type TestContext, test } from 'node:test';
import { commitFiles, gitalyServers } from '#client/index';
import { gitOutput, initRepository, referenceBackends } from '#testkit/repositories/init-repository';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { extent } from '#testkit/soak';
import { USER } from '#testkit/user';
import { GetTreeEntriesRequest_SortBy as SortBy } from '#wire/gen/commit_pb';
import { assertShortBlocks } from './assert-short-blocks.ts';
import { addBranch, addHugeTree, type Branch, createRepository, type Files } from './fast-import.ts';

/**
 * Longest CPU time between two iterations of the event loop. A computation's slice is 5 ms; the
 * rest is for a slow machine and the garbage collector. Unlike the delay, it does not depend on
 * what else runs on the machine.
 */
const LIMIT_MS = 50;
/** Limit of computations that have no larger steps than their slices. */
const SLICED_LIMIT_MS = 20;
/** Limit of FindLicense for a file. */
const LICENSE_BYTES = 256 << 10;
/** FindLicense reads a hundred. */
const LICENSE_FILES = extent('LICENSE_FILES', { short: 2, long: 100 });

/** Texts of which files of licenses consist. */
const LICENSES: Readonly<Record<string, string>> = {
  'short words': 'a b c d e f g h i j k l ',
  'different words': Array.from({ length: 1 << 14 }, (_, index) => index.toString(36)).join(' '),
  'carriage returns': '-\r',
  'line feeds': '-\n',
  'notices of owners': '(c)\r',
  'years without owners': '123 ',
  addresses: `://${'a'.repeat(200)} `,
};

/** Files in conflict; git could list millions. */
const CONFLICTS = extent('CONFLICTS', { short: 5000, long: 50_000 });
/** Limit of ResolveConflicts for a file with its markers. */
const RESOLVED_BYTES = 200 << 10;
/** Resolutions of one file, each of which replaces the one before. */
const RESOLUTIONS = extent('RESOLUTIONS', { short: 1000, long: 5000 });
/** Size of a file that consists of ids; ListConflictFiles reads up to 64 MiB. */
const LISTED_BYTES = extent('LISTED_BYTES', { short: 8 << 20, long: 60 << 20 });
/** The system takes 30 to 60 ms to free a file of 60 MiB at once. */
const LISTED_LIMIT_MS = extent('LISTED_LIMIT_MS', { short: LIMIT_MS, long: 100 });
/** Entries of the directories that are merged in process, and above its limit. */
const DIRECTORIES = [4000, 30_000];
/** A table of a million names grows by copying, which takes 30 ms at once. */
const TREE_LIMIT_MS = 100;
/** Directories are listed and sorted in slices; collecting the garbage takes as long again. */
const LIST_LIMIT_MS = 35;
/** Entries of a directory that is read and changed; a tree object may have a million. */
const TREE_ENTRIES = extent('TREE_ENTRIES', { short: 100_000, long: 1_000_000 });

/** A commit may have any number. */
const PARENTS = 100_000;
/** Parents are parsed at once: in a fourth of the time that they took. */
const PARENTS_LIMIT_MS = 40;
const SIGNATURES = 100_000;
const HEADERS = 1_000_000;
/** Lines of a message without an empty line; responses to tests have up to 4 MiB. */
const SUBJECT_LINES = 600_000;
/** Small files that a commit creates. */
const ACTIONS = extent('ACTIONS', { short: 10_000, long: 100_000 });
/** The garbage collector takes up to 50 ms for ten times as many objects. */
const MANY_LIMIT_MS = extent('MANY_LIMIT_MS', { short: LIMIT_MS, long: 100 });

/** References of a repository that is restored. */
const REFERENCES = extent('REFERENCES', { short: 20_000, long: 400_000 });
/** References at one object, whose names are one message. */
const NAMES = extent('NAMES', { short: 300_000, long: 1_000_000 });

/** Branches that change the same files in different ways. */
const conflicting = (filesOf: (word: string) => Files): Branch[] => [
  { name: 'base', files: filesOf('base') },
  { name: 'ours', from: 'base', files: filesOf('ours') },
  { name: 'theirs', from: 'base', files: filesOf('theirs') },
];
const manyFiles = (count: number, content: string): Files =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`file-${index}`, content]));
/** Every second line is changed, and many lines are empty. */
const everySecondLine = (word: string): string => {
  const lines = `${word}\n\n`.repeat(100) + '\n'.repeat(1000);
  return lines.repeat(RESOLVED_BYTES / 4 / lines.length);
};

suite('the event loop of a server is not blocked', async () => {
  const bucket = makeScratchDirectory('bucket');
  const gitaly = await startGitalyProcess({
    preload: join(import.meta.dirname, 'delay-monitor.ts'),
    config: `[backup]\ngo_cloud_url = "file://${bucket}"\n`,
  });
  after(async () => {
    await gitaly[Symbol.asyncDispose]();
    rmSync(bucket, { recursive: true });
  });
  const connection = await gitaly.connect();

  const create = (relativePath: string, branches: readonly Branch[]) => ({
    repository: { storageName: 'default', relativePath },
    oids: createRepository(join(gitaly.directory, 'default', relativePath), branches),
  });

  const assertTurns = (
    t: TestContext,
    call: (attempt: number) => Promise<unknown>,
    limitMs = LIMIT_MS,
  ): Promise<void> => assertShortBlocks(t, gitaly, call, limitMs);

  // Each file blocked it for 25 to 70 ms.
  for (const [name, piece] of Object.entries(LICENSES))
    test(`by licenses of ${name}`, async (t) => {
      const names = Array.from({ length: LICENSE_FILES }, (_, index) => `LICENSE-${index}`);
      const files = Object.fromEntries(
        names.map((file, index) => [file, Buffer.alloc(LICENSE_BYTES, `${index} `).fill(piece, 8)]),
      );
      const main = { name: 'main', files };

      // The result is remembered for each repository.
      await assertTurns(
        t,
        (attempt) => {
          const { repository } = create(`${name} ${attempt}.git`, [main]);
          return connection.repository.findLicense({ repository });
        },
        SLICED_LIMIT_MS,
      );
    });

  /** Lists conflicts, and returns the number of bytes. */
  async function list({ repository, oids }: ReturnType<typeof create>, skipContent = false): Promise<number> {
    const { ours: ourCommitOid = '', theirs: theirCommitOid = '' } = oids;
    const request = { repository, ourCommitOid, theirCommitOid, skipContent };
    let bytes = 0;
    for await (const { files } of connection.conflicts.listConflictFiles(request))
      for (const { conflictFilePayload: payload } of files)
        bytes += payload.case === 'content' ? payload.value.length : 1;
    return bytes;
  }

  async function merge(
    { repository }: ReturnType<typeof create>,
    ours: string,
    theirs: string,
  ): Promise<unknown> {
    return await connection.operation.userMergeToRef({
      repository,
      user: USER,
      sourceSha: theirs,
      firstParentRef: Buffer.from(`refs/heads/${ours}`),
      targetRef: Buffer.from('refs/merge-requests/1/merge'),
      message: Buffer.from('merge'),
    });
  }

  async function resolve(
    { repository, oids }: ReturnType<typeof create>,
    ...resolutions: object[]
  ): Promise<string> {
    const value = {
      repository,
      targetRepository: repository,
      user: USER,
      sourceBranch: Buffer.from('ours'),
      targetBranch: Buffer.from('theirs'),
      ourCommitOid: oids.ours ?? '',
      theirCommitOid: oids.theirs ?? '',
      commitMessage: Buffer.from('resolve'),
    };
    const json = JSON.stringify(resolutions.map((each) => ({ old_path: 'f', new_path: 'f', ...each })));
    const { resolutionError } = await connection.conflicts.resolveConflicts(
      [
        { resolveConflictsRequestPayload: { case: 'header', value } },
        { resolveConflictsRequestPayload: { case: 'filesJson', value: Buffer.from(json) } },
      ],
      { metadata: gitalyServers({ default: { address: gitaly.address, token: '' } }) },
    );
    return resolutionError;
  }

  // Parents took 50 ms, and as many lines of signatures 44 ms, for each call that read the commit.
  test('by commits with many parents and lines of signatures', async (t) => {
    const { repository, oids } = create('headers.git', [{ name: 'main', files: {} }]);
    const path = join(gitaly.directory, 'default', repository.relativePath);
    const commit = (headers: string): string => {
      const person = 'A <a@x> 1 +0000';
      const tree = gitOutput(path, ['rev-parse', 'main^{tree}']);
      const text = `tree ${tree}\n${headers.replace('AUTHOR', `author ${person}\ncommitter ${person}`)}\nm\n`;
      return gitOutput(path, ['hash-object', '-t', 'commit', '-w', '--literally', '--stdin'], text);
    };
    const parents = commit(`${`parent ${oids.main}\n`.repeat(PARENTS)}AUTHOR\n`);
    const signatures = commit(`AUTHOR\n${'gpgsig a\n b\n'.repeat(SIGNATURES)}`);

    for (const [oid, limitMs] of [
      [parents, PARENTS_LIMIT_MS],
      [signatures, SLICED_LIMIT_MS],
    ] as const)
      await assertTurns(
        t,
        async () => {
          let text = '';
          for await (const { message } of connection.commit.getCommitMessages({
            repository,
            commitIds: [oid],
          }))
            text += Buffer.from(message).toString();
          assert.equal(text, 'm\n');
        },
        limitMs,
      );
  });

  // Headers took 240 ms for each call that read the commit, and as long in a tag.
  test('by commits and tags with a million headers', async (t) => {
    const { repository, oids } = create('many-headers.git', [{ name: 'main', files: {} }]);
    const path = join(gitaly.directory, 'default', repository.relativePath);
    const person = 'A <a@x> 1 +0000';
    const headers = 'x y\n'.repeat(HEADERS);
    const write = (type: string, text: string): string =>
      gitOutput(path, ['hash-object', '-t', type, '-w', '--literally', '--stdin'], text);
    const tree = gitOutput(path, ['rev-parse', 'main^{tree}']);
    const commit = write(
      'commit',
      `tree ${tree}\nauthor ${person}\ncommitter ${person}\n${headers}gpgsig a\n\nm\n`,
    );
    const tag = write('tag', `object ${oids.main}\ntype commit\ntag t\ntagger ${person}\n${headers}\nm\n`);

    await assertTurns(t, async () => {
      const { commit: found } = await connection.commit.findCommit({
        repository,
        revision: Buffer.from(commit),
      });
      assert.equal(found?.id, commit);
    });
    await assertTurns(t, async () => {
      const request = { repository, commitIds: [commit] };
      const [first] = await Array.fromAsync(connection.commit.getCommitSignatures(request));
      assert.equal(Buffer.from(first?.signature ?? []).toString(), 'a');
    });
    await assertTurns(t, async () => {
      const answers = await Array.fromAsync(connection.ref.getTagMessages({ repository, tagIds: [tag] }));
      assert.equal(Buffer.from(answers.at(-1)?.message ?? []).toString(), 'm\n');
    });
  });

  // It took 60 ms, and 300 ms with 6 MB.
  test('by branches whose commits have megabytes of lines', async (t) => {
    await assertTurns(
      t,
      async (attempt) => {
        const { repository } = create(`lines-${attempt}.git`, []);
        const path = join(gitaly.directory, 'default', repository.relativePath);
        const tree = gitOutput(path, ['mktree'], '');
        const commit = gitOutput(path, ['commit-tree', tree], 'l\n'.repeat(SUBJECT_LINES));
        gitOutput(path, ['update-ref', 'refs/heads/main', commit]);

        const answers = await Array.fromAsync(connection.ref.findLocalBranches({ repository }));

        const [branch] = answers.flatMap(({ localBranches }) => localBranches);
        assert.equal(branch?.targetCommit?.subject.length, 2 * SUBJECT_LINES - 1);
      },
      LIST_LIMIT_MS,
    );
  });

  // It took 80 ms for a million.
  test('by the names of many references in one message', async (t) => {
    const { repository, oids } = create('names.git', [{ name: 'main', files: {} }]);
    const { main: oid = '' } = oids;
    writePackedRefs(
      join(gitaly.directory, 'default', repository.relativePath),
      Array.from({ length: NAMES }, (_, index) => `${oid} refs/heads/${index}`),
    );

    await assertTurns(
      t,
      // The client refuses the message after it has been sent.
      () => assert.rejects(connection.ref.findRefsByOID({ repository, oid }), /larger than max/),
      SLICED_LIMIT_MS,
    );
  });

  // It took 200 to 340 ms in one go, and reading the actions alone 60 ms.
  test('by a commit of many files', async (t) => {
    const { repository } = create('many-actions.git', [{ name: 'main', files: {} }]);
    const header = {
      repository,
      user: USER,
      branchName: Buffer.from('main'),
      commitMessage: Buffer.from('x'),
    };

    await assertTurns(
      t,
      async (attempt) => {
        const action = (index: number) => ({
          type: 'create' as const,
          path: `${attempt}/${index % 100}/${index}`,
          content: Buffer.from(`${index}`),
        });
        await commitFiles(
          connection,
          header,
          Array.from({ length: ACTIONS }, (_, index) => action(index)),
        );
      },
      MANY_LIMIT_MS,
    );
  });

  test('by a list of many conflicts', async (t) => {
    const many = create(
      'many.git',
      conflicting((word) => manyFiles(CONFLICTS, word)),
    );

    await assertTurns(t, async () => assert.equal(await list(many, true), CONFLICTS));
    await assertTurns(t, async () => assert.ok((await list(many)) > CONFLICTS));
    await assertTurns(t, () =>
      assert.rejects(merge(many, 'ours', many.oids.theirs ?? ''), /Failed to create merge/),
    );
  });

  test('by a conflict in every second line', async (t) => {
    const lines = create(
      'lines.git',
      conflicting((word) => ({ f: everySecondLine(word) })),
    );

    await assertTurns(t, async () => assert.ok((await list(lines)) > RESOLVED_BYTES / 4));
    await assertTurns(t, async () =>
      assert.match(
        await resolve(lines, { sections: { none: 'head' } }),
        /^Missing resolution for section ID/,
      ),
    );
  });

  test('by many resolutions of one file', async (t) => {
    const branches = conflicting((word) => ({ f: everySecondLine(word) }));
    const resolutions = Array.from({ length: RESOLUTIONS }, (_, index) => ({ content: `${index}\n` }));

    await assertTurns(t, async (attempt) => {
      const lines = create(`resolutions-${attempt}.git`, branches);
      assert.equal(await resolve(lines, ...resolutions), '');
    });
  });

  test('by a file of commit ids', async (t) => {
    const ids = create(
      'ids.git',
      conflicting((word) => ({ f: word })),
    );
    const content = `${ids.oids.theirs}\n`;
    ids.oids.ours = addBranch(join(gitaly.directory, 'default/ids.git'), {
      name: 'of-ids',
      from: 'base',
      files: { f: content.repeat(LISTED_BYTES / content.length) },
    });

    // It took 120 to 150 ms.
    await assertTurns(t, async () => assert.ok((await list(ids)) > 2), LISTED_LIMIT_MS);
  });

  // One file of it was found in 240 ms; a change took 300 ms, and 8 s with the modes of old trees.
  for (const [kind, mode] of Object.entries({ modes: '100644', 'old modes': '100664' }))
    test(`by reading and changing a huge directory with ${kind}`, async (t) => {
      const { repository } = create(`huge-${mode}.git`, []);
      addHugeTree(join(gitaly.directory, 'default', repository.relativePath), TREE_ENTRIES, mode);
      const revision = Buffer.from('main');
      const treeEntry = async (path: string): Promise<string> => {
        let oid = '';
        const request = { repository, revision, path: Buffer.from(path) };
        for await (const answer of connection.commit.treeEntry(request)) oid ||= answer.oid;
        return oid;
      };
      const header = { repository, user: USER, branchName: revision, commitMessage: Buffer.from('x') };

      await assertTurns(t, async () => assert.ok(await treeEntry(`file-${TREE_ENTRIES - 1}`)));
      // It took 140 ms.
      await assertTurns(t, async (attempt) => {
        const path = Buffer.from(`file-${TREE_ENTRIES - 1 - attempt}`);
        assert.ok((await connection.commit.lastCommitForPath({ repository, revision, path })).commit);
      });
      await assertTurns(
        t,
        async (attempt) => {
          await commitFiles(connection, header, [
            { type: 'create', path: `new-${attempt}`, content: Buffer.from('new') },
            { type: 'delete', path: `file-${TREE_ENTRIES - 2 - attempt}` },
            { type: 'update', path: `file-${TREE_ENTRIES - 1}`, content: Buffer.from(`${attempt}`) },
          ]);
        },
        TREE_LIMIT_MS,
      );
      // It took 40 to 75 ms.
      await assertTurns(
        t,
        async () => {
          const request = { repository, revision: 'main', path: Buffer.alloc(0), limit: 25 };
          const answers = await Array.fromAsync(connection.commit.listLastCommitsForTree(request));
          assert.equal(answers.flatMap(({ commits }) => commits).length, 25);
        },
        LIST_LIMIT_MS,
      );
      for (const sort of [SortBy.DEFAULT, SortBy.TREES_FIRST, SortBy.FILESYSTEM])
        await assertTurns(t, async () => {
          let entries = 0;
          const request = { repository, revision, path: Buffer.from('.'), sort };
          for await (const answer of connection.commit.getTreeEntries(request))
            entries += answer.entries.length;
          assert.ok(entries > TREE_ENTRIES - 4);
        });
    });

  for (const referenceBackend of referenceBackends())
    test(`by restoring many references: ${referenceBackend}`, async (t) => {
      const source = { storageName: 'default', relativePath: `${referenceBackend}.git` };
      const path = join(gitaly.directory, 'default', source.relativePath);
      initRepository(path, { commits: 1, referenceBackend });
      const main = gitOutput(path, ['rev-parse', 'main']);
      const lines = Array.from({ length: REFERENCES }, (_, index) => `${main} refs/pipelines/${index}`);
      if (referenceBackend === 'files') writePackedRefs(path, [...lines, `${main} refs/heads/main`]);
      else
        gitOutput(
          path,
          ['update-ref', '--stdin'],
          lines.map((line) => `create ${line.split(' ').reverse().join(' ')}\n`).join(''),
        );
      const backupId = `many-${referenceBackend}`;
      const count = (name: string): string =>
        gitOutput(join(gitaly.directory, 'default', name), ['rev-parse', '--all'])
          .split('\n')
          .length.toString();

      await assertTurns(t, () =>
        connection.repository.backupRepository({ repository: source, vanityRepository: source, backupId }),
      );
      const restore = (relativePath: string) =>
        connection.repository.restoreRepository({
          repository: { ...source, relativePath },
          vanityRepository: source,
          backupId,
        });
      const restoreNew = (attempt: number) => restore(`restored-${referenceBackend}-${attempt}.git`);
      await assertTurns(t, restoreNew, MANY_LIMIT_MS);
      assert.equal(count(`restored-${referenceBackend}-0.git`), `${REFERENCES + 1}`);
      // Nothing is to be done there but to compare.
      await assertTurns(t, () => restore(source.relativePath));
    });

  for (const entries of DIRECTORIES)
    test(`by a merge of directories with ${entries} entries`, async (t) => {
      const large = create(`large-${entries}.git`, [
        { name: 'base', files: manyFiles(entries, 'base') },
        { name: 'ours', from: 'base', files: { 'file-1': 'ours' } },
        { name: 'theirs', from: 'base', files: { 'file-2': 'theirs' } },
      ]);

      await assertTurns(t, () => merge(large, 'ours', large.oids.theirs ?? ''));
    });
});
