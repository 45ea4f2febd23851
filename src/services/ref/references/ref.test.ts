import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { fc } from '#testkit/fast-check';
import { slowly } from '#testkit/faults/slowly';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { type ListRefsResponse, ListRefsResponseSchema } from '#wire/gen/ref_pb';
import { encodeReferences } from './list-refs.ts';

const repository = { storageName: 'default', relativePath: 'x.git' };

const ALL = { repository, patterns: [Buffer.from('refs/')] };

const nameOf = ({ name }: { name: Uint8Array }): string => Buffer.from(name).toString('latin1');
const namesOf = (messages: readonly ListRefsResponse[]): string[] =>
  messages.flatMap(({ references }) => references.map(nameOf));

/** Creates a repository with packed branches `b-000`, … */
function withBranches(gitaly: TestGitaly, count: number, objectFormat: 'sha1' | 'sha256' = 'sha1'): string {
  const directory = initServed(gitaly, 'x.git', { commits: 1, objectFormat });
  const main = gitOutput(directory, ['rev-parse', 'main']);
  const names = Array.from({ length: count }, (_, index) => `refs/heads/b-${String(index).padStart(6, '0')}`);
  writePackedRefs(
    directory,
    names.map((name) => `${main} ${name}`),
  );
  return directory;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`RefExists follows what happens to references of a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const directory = initServed(gitaly, 'x.git', { commits: 1, objectFormat });
    const exists = async (ref: string) =>
      (await gitaly.connection.ref.refExists({ repository, ref: Buffer.from(ref) })).value;

    assert.deepEqual([await exists('refs/heads/main'), await exists('refs/heads/new')], [true, false]);
    gitOutput(directory, ['branch', 'new', 'main']);
    assert.equal(await exists('refs/heads/new'), true);
    gitOutput(directory, ['pack-refs', '--all']);
    assert.deepEqual([await exists('refs/heads/main'), await exists('refs/heads/new')], [true, true]);
    gitOutput(directory, ['update-ref', '-d', 'refs/heads/new']);
    assert.equal(await exists('refs/heads/new'), false);
  });
}

test('FindDefaultBranchName goes from HEAD to a branch that exists', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const find = async (headOnly = false) =>
    Buffer.from(
      (await gitaly.connection.ref.findDefaultBranchName({ repository, headOnly })).name,
    ).toString();

  assert.deepEqual([await find(), await find(true)], ['', 'refs/heads/main']);
  const commit = gitOutput(directory, ['commit-tree', '-m', 'x', gitOutput(directory, ['mktree'], '')]);
  gitOutput(directory, ['update-ref', 'refs/heads/b', commit]);
  gitOutput(directory, ['update-ref', 'refs/heads/a', commit]);
  assert.equal(await find(), 'refs/heads/a');
  gitOutput(directory, ['symbolic-ref', 'HEAD', 'refs/heads/b']);
  assert.deepEqual([await find(), await find(true)], ['refs/heads/b', 'refs/heads/b']);
});

test('RefExists refuses a name with a NUL', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, 'x.git');

  await assert.rejects(gitaly.connection.ref.refExists({ repository, ref: Buffer.from('refs/heads/a\0') }), {
    code: 'INTERNAL',
    message: 'detected null byte in command argument "refs/heads/a\\x00"',
  });
});

test('PackRefs packs every loose reference, and none gets lost', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  for (const name of ['a', 'b/c', 'd']) gitOutput(directory, ['branch', name, 'main']);
  gitOutput(directory, ['tag', '-m', 'annotated', 'v1', 'main']);
  const before = gitOutput(directory, ['show-ref', '--dereference']);
  const { ref } = gitaly.connection;

  await ref.packRefs({ repository });

  assert.equal(gitOutput(directory, ['show-ref', '--dereference']), before);
  const packed = readFileSync(join(directory, 'packed-refs'), 'utf8').split('\n');
  assert.deepEqual(
    packed.filter((line) => line.includes(' refs/')).sort(),
    gitOutput(directory, ['show-ref']).split('\n').sort(),
  );
  assert.equal(existsSync(join(directory, 'refs/heads/a')), false);
  assert.equal((await ref.refExists({ repository, ref: Buffer.from('refs/heads/b/c') })).value, true);
  const missing = { ...repository, relativePath: 'none.git' };
  await assert.rejects(ref.packRefs({ repository: missing }), {
    code: 'NOT_FOUND',
    message: 'repository not found',
  });
});

test('UpdateReferences without a request says that it has received none', async () => {
  await using gitaly = await startGitaly();

  await assert.rejects(gitaly.connection.ref.updateReferences([]), {
    code: 'INTERNAL',
    message: 'receiving initial request: EOF',
  });
});

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`ListRefs lists what git lists in a ${objectFormat} repository, 20 in a message`, async () => {
    await using gitaly = await startGitaly();
    const directory = withBranches(gitaly, 45, objectFormat);
    gitOutput(directory, ['tag', '-a', '-m', 'x', 'annotated', 'main']);

    const messages = await Array.fromAsync(gitaly.connection.ref.listRefs({ ...ALL, peelTags: true }));

    const lines = messages.flatMap(({ references }) =>
      references.map((ref) => `${nameOf(ref)} ${ref.target} ${ref.peeledTarget}`.trimEnd()),
    );
    assert.equal(
      lines.join('\n'),
      gitOutput(directory, [
        'for-each-ref',
        '--format=%(refname) %(objectname)%(if)%(*objectname)%(then) %(*objectname)%(end)',
      ]),
    );
    assert.deepEqual(
      messages.map(({ references }) => references.length),
      [20, 20, 7],
    );
  });
}

test('pages of any size make up the list, and only the last one has no cursor', async () => {
  await using gitaly = await startGitaly();
  withBranches(gitaly, 50);
  const all = namesOf(await Array.fromAsync(gitaly.connection.ref.listRefs(ALL)));

  for (const limit of [1, 7, 20, 51, 60]) {
    const pages: string[][] = [];
    let pageToken = '';
    do {
      const messages = await Array.fromAsync(
        gitaly.connection.ref.listRefs({ ...ALL, paginationParams: { limit, pageToken } }),
      );
      pages.push(namesOf(messages));
      assert.ok(messages.slice(0, -1).every(({ paginationCursor }) => paginationCursor === undefined));
      pageToken = messages.at(-1)?.paginationCursor?.nextCursor ?? '';
    } while (pageToken !== '');

    assert.deepEqual(pages.flat(), all);
    assert.equal(pages.length, Math.ceil(all.length / limit));
  }
});

test('an abort ends the list, and a reader that leaves or is slow disturbs nobody', async () => {
  await using gitaly = await startGitaly();
  const directory = withBranches(gitaly, 60_000);
  const controller = new AbortController();

  await assert.rejects(
    async () => {
      for await (const _ of gitaly.connection.ref.listRefs(
        { ...ALL, sortBy: { key: 0, direction: 1 } },
        { signal: controller.signal },
      )) {
        controller.abort();
      }
    },
    { code: 'CANCELLED' },
  );
  for (const extra of [{}, { peelTags: true }, { ignoreCase: true }]) {
    for await (const _ of gitaly.connection.ref.listRefs({ ...ALL, ...extra })) break;
  }
  let slow = 0;
  const before = process.memoryUsage().rss;
  for await (const _ of slowly(gitaly.connection.ref.listRefs(ALL), 5)) if (++slow > 50) break;

  assert.ok(process.memoryUsage().rss - before < 60 * 1024 * 1024);
  assert.equal(namesOf(await Array.fromAsync(gitaly.connection.ref.listRefs(ALL))).length, 60_001);
  assert.throws(() => execFileSync('pgrep', ['-f', `${directory} .*for-each-ref`]), 'git is still running');
});

test('the first message comes before the last reference has been read', async () => {
  await using gitaly = await startGitaly();
  const directory = withBranches(gitaly, 60_000);
  // The damage is behind the data of the first message: only a list that was read to its end fails
  // at once. git looks at the end of the file first, and refuses one that is shorter than an id.
  appendFileSync(join(directory, 'packed-refs'), `${'garbage '.repeat(10)}\n`);
  let messages = 0;

  await assert.rejects(
    async () => {
      for await (const _ of gitaly.connection.ref.listRefs(ALL)) messages++;
    },
    { code: 'INTERNAL', message: 'listing failed with exit code 128' },
  );

  assert.ok(messages > 0);
});

test('references are encoded as the general encoder encodes them', () => {
  const id = fc.stringMatching(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);
  const ref = fc.record({
    name: fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    oid: id,
    peeledOid: fc.option(id, { nil: undefined }),
    isPeelKnown: fc.boolean(),
  });

  fc.assert(
    fc.property(fc.array(ref, { maxLength: 21 }), fc.boolean(), (refs, peel) => {
      const references = refs.map(({ name, oid, peeledOid = '' }) => ({
        name,
        target: oid,
        peeledTarget: peel ? peeledOid : '',
      }));

      const encoded = toBinary(ListRefsResponseSchema, encodeReferences(refs, peel));

      assert.deepEqual(
        Buffer.from(encoded),
        Buffer.from(toBinary(ListRefsResponseSchema, create(ListRefsResponseSchema, { references }))),
      );
    }),
  );
});
