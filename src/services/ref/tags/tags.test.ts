import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import { codeOf } from '#base/gitaly-error';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { startGitaly } from '#testkit/start-gitaly';
import {
  FindAllTagsRequest_SortBy_Key,
  type GetTagSignaturesResponse_TagSignature,
  GetTagSignaturesResponse_TagSignatureSchema,
} from '#wire/gen/ref_pb';
import { SignatureType, type Tag } from '#wire/gen/shared_pb';

const MIB = 1024 * 1024;
const repository = { storageName: 'default', relativePath: 'x.git' };
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('latin1');
const SIGNATURE = '-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n';

/** Writes a tag object with a reference on it. Its id. */
function addTag(
  directory: string,
  name: string,
  target: string,
  { type = 'commit', message = 'message\n' } = {},
): string {
  const data = `object ${target}\ntype ${type}\ntag ${name}\ntagger T <t@x> 1600000000 +0100\n\n${message}`;
  const oid = gitOutput(directory, ['hash-object', '-t', 'tag', '-w', '--literally', '--stdin'], data);
  gitOutput(directory, ['update-ref', `refs/tags/${name}`, oid]);
  return oid;
}

/** Tags of every kind. */
function addTags(directory: string): void {
  const main = gitOutput(directory, ['rev-parse', 'main']);
  const tree = gitOutput(directory, ['rev-parse', 'main^{tree}']);
  const blob = gitOutput(directory, ['hash-object', '-w', '--stdin'], 'blob');
  gitOutput(directory, ['update-ref', 'refs/tags/light', main]);
  gitOutput(directory, ['update-ref', 'refs/tags/light-blob', blob]);
  gitOutput(directory, ['update-ref', 'refs/tags/light-tree', tree]);
  const annotated = addTag(directory, 'annotated', main, { message: 'one\n\ntwo\n\n\n' });
  gitOutput(directory, ['update-ref', 'refs/tags/same', annotated]);
  addTag(directory, 'nested', addTag(directory, 'inner', annotated, { type: 'tag' }), { type: 'tag' });
  addTag(directory, 'of-tree', tree, { type: 'tree' });
  addTag(directory, 'signed', main, { message: `x\n\n${SIGNATURE}` });
  addTag(directory, 'huge', main, { message: `${'y'.repeat(300_000)}\n` });
  gitOutput(directory, ['symbolic-ref', 'refs/tags/symbolic', 'refs/tags/annotated']);
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`FindAllTags and FindTag agree with git about a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const directory = initServed(gitaly, 'x.git', { commits: 1, objectFormat });
    addTags(directory);
    const { ref } = gitaly.connection;
    const listed = async (): Promise<Tag[]> =>
      (await Array.fromAsync(ref.findAllTags({ repository }))).flatMap(({ tags }) => tags);

    const loose = await listed();
    gitOutput(directory, ['pack-refs', '--all']);
    const packed = await listed();

    assert.deepEqual(packed, loose);
    assert.equal(
      loose.map((tag) => `${text(tag.name)} ${tag.id}`).join('\n'),
      gitOutput(directory, ['for-each-ref', '--format=%(refname:lstrip=2) %(objectname)', 'refs/tags']),
    );
    for (const tag of loose) {
      const { tag: found } = await ref.findTag({ repository, tagName: tag.name });
      assert.deepEqual(found, tag);
      const commit = gitOutput(directory, ['rev-parse', '-q', '--verify', `refs/tags/${text(tag.name)}^{}`]);
      const isCommit = gitOutput(directory, ['cat-file', '-t', commit]) === 'commit';
      assert.equal(tag.targetCommit?.id, isCommit ? commit : undefined, text(tag.name));
    }
    const byName = new Map(loose.map((tag) => [text(tag.name), tag]));
    assert.equal(text(byName.get('annotated')?.message), 'one\n\ntwo');
    assert.deepEqual(
      [byName.get('huge')?.message.length, byName.get('huge')?.messageSize],
      [10_240, 300_000n],
    );
    assert.equal(byName.get('signed')?.signatureType, SignatureType.PGP);
  });
}

test('hundreds of tags, read in bulk, are what they are when read one by one', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 2 });
  addTags(directory);
  const main = gitOutput(directory, ['rev-parse', 'main']);
  for (let index = 0; index < 130; index++)
    addTag(directory, `t${index}`, main, { message: `message ${index}\n` });
  const { ref } = gitaly.connection;

  for (const pack of [false, true]) {
    if (pack) gitOutput(directory, ['pack-refs', '--all']);
    const tags = (await Array.fromAsync(ref.findAllTags({ repository }))).flatMap((each) => each.tags);
    assert.equal(tags.length, 141);
    for (const tag of tags)
      assert.deepEqual((await ref.findTag({ repository, tagName: tag.name })).tag, tag, text(tag.name));
  }
  const sorted = (
    await Array.fromAsync(ref.findAllTags({ repository, sortBy: { key: 2, direction: 1 } }))
  ).flatMap((each) => each.tags);
  assert.equal(
    sorted.map(({ name }) => text(name)).join('\n'),
    gitOutput(directory, [
      'for-each-ref',
      '--sort=-version:refname',
      '--format=%(refname:lstrip=2)',
      'refs/tags',
    ]),
  );
});

// Before, FindTag reported in a damaged repository that there is no such tag.
test('FindTag finds a tag of a file or a directory that is missing, as git does', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  for (const type of ['blob', 'tree']) addTag(directory, type, 'a'.repeat(40), { type });
  addTag(directory, 'of-tag', gitOutput(directory, ['rev-parse', 'refs/tags/blob']), { type: 'tag' });
  const { ref } = gitaly.connection;

  for (const name of gitOutput(directory, ['tag', '-l']).split('\n')) {
    const { tag } = await ref.findTag({ repository, tagName: Buffer.from(name) });

    assert.equal(tag?.id, gitOutput(directory, ['rev-parse', `refs/tags/${name}`]));
    assert.equal(tag.targetCommit, undefined);
  }
});

test('a tag whose object or target is missing is an error and not a wait', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  const main = gitOutput(directory, ['rev-parse', 'main']);
  const { ref } = gitaly.connection;
  const list = () => Array.fromAsync(ref.findAllTags({ repository }));

  addTag(directory, 'bad', '1'.repeat(40));
  await assert.rejects(list(), { code: 'INTERNAL', message: 'iterating over tags: object not found' });
  writePackedRefs(
    directory,
    Array.from({ length: 200 }, (_, index) => `${main} refs/tags/t${String(index).padStart(3, '0')}`),
  );
  await assert.rejects(list(), { code: 'INTERNAL', message: 'iterating over tags: object not found' });
  writeFileSync(join(directory, 'refs/tags/bad'), `${'1'.repeat(40)}\n`);
  await assert.rejects(list(), { code: 'INTERNAL', message: 'iterating over tags: object not found' });
  await assert.rejects(ref.findTag({ repository, tagName: Buffer.from('bad') }), {
    code: 'NOT_FOUND',
    message: 'tag does not exist',
  });
});

test('a hundred tags of tags lead to their commit', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  const main = gitOutput(directory, ['rev-parse', 'main']);
  let oid = addTag(directory, 't', main);
  for (let depth = 0; depth < 100; depth++) oid = addTag(directory, 't', oid, { type: 'tag' });
  const { ref } = gitaly.connection;

  const { tag } = await ref.findTag({ repository, tagName: Buffer.from('t') });
  const signatures = (
    await Array.fromAsync(ref.getTagSignatures({ repository, tagRevisions: ['t'] }))
  ).flatMap((each) => each.signatures);

  assert.deepEqual([tag?.id, tag?.targetCommit?.id, signatures.length], [oid, main, 101]);
});

test('messages come whole and in pieces, signatures apart from what they sign', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  addTags(directory);
  const { ref } = gitaly.connection;

  const messages = await Array.fromAsync(
    ref.getTagMessages({ repository, tagIds: ['refs/tags/huge', 'signed'] }),
  );
  const [signed] = (
    await Array.fromAsync(ref.getTagSignatures({ repository, tagRevisions: ['signed'] }))
  ).flatMap((each) => each.signatures);

  assert.deepEqual(
    messages.map(({ tagId, message }) => [tagId, message.length]),
    [
      ['refs/tags/huge', 0],
      ['', 131_072],
      ['', 131_072],
      ['', 300_001 - 2 * 131_072],
      ['signed', 0],
      ['', 3 + SIGNATURE.length],
    ],
  );
  assert.equal(
    `${text(signed?.content)}${text(signed?.signature)}\n`,
    gitOutput(directory, ['cat-file', 'tag', 'signed']).concat('\n'),
  );
  assert.equal(`${text(signed?.signature)}\n`, SIGNATURE);
  const names = (await Array.fromAsync(ref.findAllTagNames({ repository }))).flatMap((each) =>
    each.names.map(text),
  );
  assert.equal(names.join('\n'), gitOutput(directory, ['for-each-ref', '--format=%(refname)', 'refs/tags']));
});

test('objects in quarantine are seen, and only with the quarantine', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  const tree = gitOutput(directory, ['mktree'], '');
  gitOutput(directory, ['init', '-q', '--bare', 'objects/incoming.git']);
  gitOutput(join(directory, 'objects/incoming.git'), ['mktree'], '');
  const oid = gitOutput(join(directory, 'objects/incoming.git'), ['commit-tree', '-m', 'quarantined', tree]);
  writeFileSync(join(directory, 'refs/heads/new'), `${oid}\n`);
  const { ref } = gitaly.connection;
  const find = (extra: object) =>
    ref.findBranch({ repository: { ...repository, ...extra }, name: Buffer.from('new') });

  await assert.rejects(find({}), { code: 'INTERNAL', message: 'object not found' });
  const { branch } = await find({
    gitObjectDirectory: 'objects/incoming.git/objects',
    gitAlternateObjectDirectories: ['objects'],
  });
  assert.equal(branch?.targetCommit?.id, oid);
});

test('FindTag takes the first of the tags that a pattern matches, as git lists them', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  addTags(directory);

  for (const pattern of ['*', 's*', '[m-z]*', '*d', 'light-????', 'nes\\ted', 'x*']) {
    const [first] = gitOutput(directory, [
      'tag',
      '-l',
      '--format=%(refname:lstrip=2) %(objectname)',
      pattern,
    ]).split('\n');
    const found = await gitaly.connection.ref
      .findTag({ repository, tagName: Buffer.from(pattern) })
      .catch((error: unknown) => `${codeOf(error)}`);
    assert.equal(
      typeof found === 'string' ? found : `${text(found.tag?.name)} ${found.tag?.id}`,
      first || 'NOT_FOUND',
      pattern,
    );
  }
});

test('a repository whose tags git cannot list has no tag, and no list of tags', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  addTags(directory);
  // The text of Gitaly 19.0.
  const gone = { ...repository, gitObjectDirectory: 'gone' };
  const { ref } = gitaly.connection;

  await assert.rejects(ref.findTag({ repository: gone, tagName: Buffer.from('*') }), {
    code: 'NOT_FOUND',
    message: 'tag does not exist',
  });
  const sortBy = { key: FindAllTagsRequest_SortBy_Key.CREATORDATE };
  await assert.rejects(Array.fromAsync(ref.findAllTags({ repository: gone, sortBy })), {
    code: 'INTERNAL',
    message: 'iterating over tags: for-each-ref pipeline command: exit status 128',
  });
});

test('signatures of many tags fill messages to just below 1 MiB', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  const main = gitOutput(directory, ['rev-parse', 'main']);
  // Short ones: the bytes of their framing dominate.
  const tags = Array.from({ length: 5000 }, (_, index) => {
    return (
      `tag t${index}\nfrom ${main}\ntagger T <t@x> 1600000000 +0000\ndata ${index % 250}\n` +
      `${'m'.repeat(index % 250)}\n`
    );
  });
  gitOutput(directory, ['fast-import', '--quiet', '--date-format=raw'], tags.join(''));

  const responses = await Array.fromAsync(
    gitaly.connection.ref.getTagSignatures({ repository, tagRevisions: ['--tags'] }),
  );

  const sizeOf = (each: GetTagSignaturesResponse_TagSignature): number =>
    toBinary(GetTagSignaturesResponse_TagSignatureSchema, each).length;
  const sizes = responses.map(({ signatures }) => signatures.map(sizeOf));
  assert.equal(sizes.flat().length, 5000);
  assert.ok(sizes.length > 1);
  for (const [index, message] of sizes.entries()) {
    const bytes = message.reduce((sum, size) => sum + size, 0);
    const next = sizes[index + 1]?.[0] ?? MIB;
    assert.ok(
      bytes < MIB && bytes + next >= MIB,
      `message ${index} has ${bytes} bytes, the next item ${next}`,
    );
  }
});
