import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { GetBlobsResponseSchema } from '#wire/gen/blob_pb';
import { GetCommitSignaturesResponseSchema } from '#wire/gen/commit_pb';
import { ListConflictFilesResponseSchema } from '#wire/gen/conflicts_pb';
import { CommitDiffResponseSchema } from '#wire/gen/diff_pb';
import { FindLocalBranchesResponseSchema, GetTagSignaturesResponseSchema } from '#wire/gen/ref_pb';
import { SearchFilesByContentResponseSchema } from '#wire/gen/repository_pb';
import { WikiGetAllPagesResponseSchema } from '#wire/gen/wiki_pb';
import { collect } from '../index.ts';

const REPOSITORY = { storageName: 'default', relativePath: 'a.git' };
const LARGE = Buffer.alloc(300_000, 'line of text\n');

async function* streamOf<T>(...messages: T[]): AsyncGenerator<T> {
  yield* messages;
}

function importInto(gitaly: TestGitaly, stream: readonly string[]): string {
  const path = join(gitaly.storagePath(), 'a.git');
  gitOutput('/', ['init', '-q', '--bare', '-b', 'main', path]);
  gitOutput(path, ['fast-import', '--quiet', '--done'], [...stream, 'done', ''].join('\n'));
  return path;
}

const commit = (ref: string, message: string) => [
  `commit refs/heads/${ref}`,
  'committer C <c@x> 1 +0000',
  `data ${message.length}`,
  message,
];
const file = (name: string, content: string) => [
  `M 100644 inline ${name}`,
  `data ${content.length}`,
  content,
];

test('blobs in several messages are joined, and missing paths are omitted', async () => {
  await using gitaly = await startGitaly();
  const path = importInto(gitaly, [
    ...commit('main', 'm'),
    ...file('large', LARGE.toString()),
    ...file('empty', ''),
    ...file('small', 'hi'),
  ]);
  const { blob } = gitaly.connection;
  const revisionPaths = ['large', 'none', 'empty', 'small'].map((name) => ({
    revision: 'main',
    path: Buffer.from(name),
  }));

  const got = await Array.fromAsync(
    collect.blobs(blob.getBlobs({ repository: REPOSITORY, revisionPaths, limit: -1n })),
  );
  const listed = await Array.fromAsync(
    collect.blobs(blob.listBlobs({ repository: REPOSITORY, revisions: ['main'], bytesLimit: -1n })),
  );

  assert.deepEqual(
    got.map(({ path: name, size }) => [Buffer.from(name).toString(), size]),
    [
      ['large', BigInt(LARGE.length)],
      ['empty', 0n],
      ['small', 2n],
    ],
  );
  assert.deepEqual(
    got.map(({ data }) => data),
    [LARGE, Buffer.alloc(0), Buffer.from('hi')],
  );
  for (const { oid, data } of listed)
    assert.equal(gitOutput(path, ['hash-object', '--stdin'], data.toString()), oid);
  assert.equal(listed.length, 3);
});

test("diffs are joined and equal git's", async () => {
  await using gitaly = await startGitaly();
  const changed = LARGE.toString().replaceAll('line', 'word');
  const path = importInto(gitaly, [
    ...commit('main', 'one'),
    ...file('large', LARGE.toString()),
    ...commit('main', 'two'),
    ...file('large', changed),
    ...file('new', 'x\n'),
  ]);
  const ids = {
    leftCommitId: gitOutput(path, ['rev-parse', 'main^']),
    rightCommitId: gitOutput(path, ['rev-parse', 'main']),
  };
  const [left, right] = ['main^', 'main'].map((revision) =>
    Buffer.from(gitOutput(path, ['rev-parse', `${revision}:large`])),
  );

  const diffs = await Array.fromAsync(
    collect.diffs(gitaly.connection.diff.commitDiff({ repository: REPOSITORY, ...ids })),
  );
  const blobPairs = [{ leftBlob: left ?? Buffer.alloc(0), rightBlob: right ?? Buffer.alloc(0) }];
  const pairs = await Array.fromAsync(
    collect.blobDiffs(gitaly.connection.diff.diffBlobs({ repository: REPOSITORY, blobPairs })),
  );

  const patchOf = (name: string) =>
    gitOutput(path, ['diff', 'main^', 'main', '--', name]).replace(/^.*?(?=^@@)/ms, '');
  assert.deepEqual(
    diffs.map(({ toPath, patch }) => [Buffer.from(toPath).toString(), patch.toString().trimEnd()]),
    ['large', 'new'].map((name) => [name, patchOf(name)]),
  );
  assert.equal(pairs.length, 1);
  assert.match(pairs[0]?.patch.toString() ?? '', /^@@/);
  assert.equal(pairs[0]?.patch.toString().trimEnd(), patchOf('large'));
});

test('conflicting files are joined', async () => {
  await using gitaly = await startGitaly();
  const base = ['reset refs/heads/theirs', 'from refs/heads/main', ''];
  const path = importInto(gitaly, [
    ...commit('main', 'base'),
    ...file('a', LARGE.toString()),
    ...file('b', 'x\n'),
    ...base,
    ...commit('main', 'ours'),
    ...file('a', `ours\n${LARGE}`),
    ...file('b', 'ours\n'),
    ...commit('theirs', 'theirs'),
    ...file('a', `theirs\n${LARGE}`),
    ...file('b', 'theirs\n'),
  ]);
  const oids = {
    ourCommitOid: gitOutput(path, ['rev-parse', 'main']),
    theirCommitOid: gitOutput(path, ['rev-parse', 'theirs']),
  };

  const files = await Array.fromAsync(
    collect.conflictFiles(gitaly.connection.conflicts.listConflictFiles({ repository: REPOSITORY, ...oids })),
  );

  const expected = (rest: Buffer | string) => `<<<<<<< a\nours\n=======\ntheirs\n>>>>>>> a\n${rest}`;
  assert.deepEqual(
    files.map(({ ourPath, content }) => [Buffer.from(ourPath).toString(), content.toString()]),
    [
      ['a', expected(LARGE)],
      ['b', expected('').replaceAll('> a', '> b').replaceAll('< a', '< b')],
    ],
  );
});

test('messages of tags and commits are joined per object', async () => {
  await using gitaly = await startGitaly();
  const message = LARGE.toString();
  const path = importInto(gitaly, [
    ...commit('main', message),
    'tag v1',
    'from refs/heads/main',
    'tagger T <t@x> 1 +0000',
    `data ${message.length}`,
    message,
  ]);
  const [commitId, tagId] = [gitOutput(path, ['rev-parse', 'main']), gitOutput(path, ['rev-parse', 'v1'])];

  const commits = await Array.fromAsync(
    collect.commitMessages(
      gitaly.connection.commit.getCommitMessages({ repository: REPOSITORY, commitIds: [commitId] }),
    ),
  );
  const tags = await Array.fromAsync(
    collect.tagMessages(gitaly.connection.ref.getTagMessages({ repository: REPOSITORY, tagIds: [tagId] })),
  );

  assert.deepEqual(
    commits.map((one) => [one.commitId, one.message.toString()]),
    [[commitId, message]],
  );
  assert.deepEqual(
    tags.map((one) => [one.tagId, one.message.toString().trimEnd()]),
    [[tagId, message.trimEnd()]],
  );
});

test('signatures are joined across messages, with the signer of the first one', async () => {
  const bytes = (text: string) => Buffer.from(text);
  const responses = [
    { commitId: 'a', signature: bytes('s1'), signer: 1 },
    { signature: bytes('s2') },
    { signedText: bytes('t1') },
    { signedText: bytes('t2') },
    { commitId: 'b', signature: bytes('s3'), signedText: bytes('t3') },
  ].map((init) => create(GetCommitSignaturesResponseSchema, init));
  const tags = create(GetTagSignaturesResponseSchema, {
    signatures: [{ tagId: 'x', signature: bytes('s') }, { content: bytes('c1') }, { content: bytes('c2') }],
  });

  const signatures = await Array.fromAsync(collect.commitSignatures(streamOf(...responses)));
  const [tag] = await Array.fromAsync(collect.tagSignatures(streamOf(tags)));

  assert.deepEqual(
    signatures.map(({ commitId, signature, signedText, signer }) => [
      commitId,
      `${signature}`,
      `${signedText}`,
      signer,
    ]),
    [
      ['a', 's1s2', 't1t2', 1],
      ['b', 's3', 't3', 0],
    ],
  );
  assert.deepEqual([tag?.tagId, `${tag?.signature}`, `${tag?.content}`], ['x', 's', 'c1c2']);
});

test('data without a preceding message is an error of the server', async () => {
  const stray = create(GetBlobsResponseSchema, { data: Buffer.from('x') });
  const content = { conflictFilePayload: { case: 'content', value: Buffer.from('x') } } as const;

  await assert.rejects(Array.fromAsync(collect.blobs(streamOf(stray))), { code: 'INTERNAL' });
  await assert.rejects(
    Array.fromAsync(
      collect.conflictFiles(streamOf(create(ListConflictFilesResponseSchema, { files: [content] }))),
    ),
    {
      code: 'INTERNAL',
    },
  );
});

test('a patch, a match and a page without an end are omitted', async () => {
  const bytes = Buffer.from('x');
  const diff = create(CommitDiffResponseSchema, { rawPatchData: bytes });
  const match = create(SearchFilesByContentResponseSchema, { matchData: bytes });
  const end = create(SearchFilesByContentResponseSchema, { matchData: bytes, endOfMatch: true });
  const page = (rawData: Buffer) => create(WikiGetAllPagesResponseSchema, { page: { rawData } });
  const endOfPage = create(WikiGetAllPagesResponseSchema, { endOfPage: true });

  assert.deepEqual(await Array.fromAsync(collect.diffs(streamOf(diff))), []);
  assert.deepEqual(await Array.fromAsync(collect.searchMatches(streamOf(match, end, match))), [
    Buffer.from('xx'),
  ]);
  const pages = await Array.fromAsync(
    collect.wikiPages(streamOf(page(bytes), page(bytes), endOfPage, endOfPage, page(bytes))),
  );
  assert.deepEqual(
    pages.map(({ rawData }) => rawData),
    [Buffer.from('xx')],
  );
  const empty = create(WikiGetAllPagesResponseSchema, { page: {} });
  const [only] = await Array.fromAsync(collect.wikiPages(streamOf(empty, endOfPage)));
  assert.equal(only?.rawData.length, 0);
});

test('branches are read from the field that the server fills', async () => {
  const name = Buffer.from('refs/heads/main');
  const old = create(FindLocalBranchesResponseSchema, { branches: [{ name, commit: { id: 'old' } }] });
  const both = create(FindLocalBranchesResponseSchema, {
    branches: [{ name, commit: { id: 'old' } }],
    localBranches: [{ name, targetCommit: { id: 'new' } }],
  });

  const branches = await Array.fromAsync(collect.localBranches(streamOf(old, both)));

  assert.deepEqual(
    branches.map(({ targetCommit }) => targetCommit?.id),
    ['old', 'new'],
  );
});

test('leaving the loop ends the source', async () => {
  let isEnded = false;
  async function* source() {
    try {
      for (;;) yield create(GetBlobsResponseSchema, { oid: 'a', data: Buffer.from('x') });
    } finally {
      isEnded = true;
    }
  }

  for await (const _ of collect.blobs(source())) break;

  assert.equal(isEnded, true);
});
