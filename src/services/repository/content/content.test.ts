import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commitFiles, type NewFile } from '#testkit/repositories/commit-files';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startWithRepository } from '#testkit/servers/start-with-repository';
import { until } from '#testkit/until';
import { GetRawChangesResponse_RawChange_Operation as Operation } from '#wire/gen/repository_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };
const bytes = (text: string) => Buffer.from(text);
const text = (data: Uint8Array) => Buffer.from(data).toString();

for (const objectFormat of ['sha1', 'sha256'] as const) {
  describe(objectFormat, () => {
    test('GetRawChanges lists what git diff --raw lists, with sizes', async () => {
      await using fixture = await startWithRepository({ objectFormat });
      const { directory, calls } = fixture;
      const content = Array.from({ length: 40 }, (_, line) => `line ${line}\n`).join('');
      const before: Record<string, NewFile> = {
        'a b': content,
        'tab\tx': '1',
        gone: 'gone',
        type: 'file',
        'ö/ü': '1',
      };
      const first = commitFiles(directory, before);
      commitFiles(directory, {
        moved: `${content}end\n`,
        'tab\tx': { mode: '100755', content: '12' },
        type: { mode: '120000', content: 'target' },
        'new\nline': 'new',
        'ö/ü': '1',
      });
      const head = gitOutput(directory, ['rev-parse', 'main']);
      gitOutput(directory, ['fast-import', '--quiet', '--force'], submoduleCommit(head));
      const zero = '0'.repeat(first.length);

      for (const [from = '', to = ''] of [
        [first, 'main'],
        ['main', 'main~2'],
        [zero, 'main'],
        ['main~1', 'main'],
        // Two blobs: their ids were in the place of the path.
        [`${first}:tab\tx`, 'main:tab\tx'],
      ]) {
        const changes = [];
        for await (const { rawChanges } of calls.getRawChanges({
          repository,
          fromRevision: from,
          toRevision: to,
        }))
          changes.push(...rawChanges);
        const found = changes.map((change) => [
          change.oldMode,
          change.newMode,
          Operation[change.operation],
          change.blobId,
          Number(change.size),
          text(change.oldPathBytes),
          text(change.newPathBytes),
        ]);
        assert.deepEqual(found, expectedChanges(directory, from === zero ? '' : from, to), `${from} ${to}`);
        assert.ok(found.length > 0);
      }
      assert.deepEqual(
        await Array.fromAsync(calls.getRawChanges({ repository, fromRevision: 'main', toRevision: zero })),
        [],
      );
    });

    test('SearchFilesByContent finds what git grep finds', async () => {
      await using fixture = await startWithRepository({ objectFormat });
      const { directory, calls } = fixture;
      const lines = Array.from({ length: 60 }, (_, number) =>
        number % 15 === 7 ? 'Needle' : `line ${number}`,
      );
      commitFiles(directory, {
        'a.txt': lines.join('\n'),
        'b\tc': 'needle',
        c: 'a --flag',
        bin: Buffer.from('needle\0'),
      });

      for (const query of ['needle', 'ne+dle$', 'line [135]', '-f', '--flag', '(?=needle)n']) {
        const options = ['-I', '-n', '-z', '-B2', '-A2', '-P', '-i'];
        const expected = gitOutput(directory, ['grep', ...options, '-e', query, 'main']).split('\n--\n');
        const found = await search(calls, query);
        assert.deepEqual(
          found.map((match) => match.replace(/\n$/, '')),
          expected,
          query,
        );
      }
      for (const query of ['absent', '(', '*']) assert.deepEqual(await search(calls, query), [], query);
      assert.deepEqual(await search(calls, 'needle', 'nowhere'), []);
    });

    test('FastExport streams a history that git imports', async () => {
      await using fixture = await startWithRepository({ objectFormat });
      const { directory, calls } = fixture;
      commitFiles(directory, { a: 'a'.repeat(200_000), b: 'b' });
      commitFiles(directory, { b: 'c' });
      gitOutput(directory, ['tag', '-a', '-m', 'tag', 'v1', 'main']);

      const data: Buffer[] = [];
      for await (const message of calls.fastExport({ repository })) {
        assert.ok(message.data.length > 0 && message.data.length <= 128 * 1024);
        data.push(Buffer.from(message.data));
      }

      const copy = `${directory}-copy`;
      initRepository(copy, { objectFormat });
      gitOutput(copy, ['fast-import', '--quiet'], Buffer.concat(data));
      assert.equal(
        gitOutput(copy, ['show-ref', '--dereference']),
        gitOutput(directory, ['show-ref', '--dereference']),
      );
      rmSync(copy, { recursive: true });
    });

    test('ApplyGitattributes writes the file of a revision, and removes it if there is none', async () => {
      await using fixture = await startWithRepository({ objectFormat });
      const { directory, calls } = fixture;
      const attributes = '*.txt text\n'.repeat(3);
      commitFiles(directory, { '.gitattributes': attributes });
      commitFiles(directory, { other: '' });
      const file = join(directory, 'info/attributes');
      const apply = (revision: string) => calls.applyGitattributes({ repository, revision: bytes(revision) });

      await apply('main~1');
      assert.equal(readFileSync(file, 'utf8'), attributes);
      assert.equal(statSync(file).mode & 0o777, 0o644);
      await apply('main~1');
      await apply('main');
      assert.equal(existsSync(file), false);
      await apply('main');

      await assert.rejects(apply('none'), { code: 'INVALID_ARGUMENT', message: 'revision does not exist' });
      await assert.rejects(apply('-x'), { message: "revision: revision can't start with '-'" });
      writeFileSync(`${file}.lock`, '');
      await assert.rejects(apply('main~1'), { code: 'INTERNAL', message: 'file already locked' });
      assert.equal(existsSync(file), false);
    });
  });
}

test('GetRawChanges sends many changes in several messages', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls } = fixture;
  const names = Array.from(
    { length: 12_000 },
    (_, number) => `directory-with-a-long-name/${'x'.repeat(40)}-${number}`,
  );
  commitFiles(directory, Object.fromEntries(names.map((name) => [name, 'same'])));

  const fromRevision = '0'.repeat(40);
  const messages = await Array.fromAsync(
    calls.getRawChanges({ repository, fromRevision, toRevision: 'main' }),
  );

  assert.ok(messages.length > 1);
  const paths = messages.flatMap(({ rawChanges }) =>
    rawChanges.map(({ newPathBytes }) => text(newPathBytes)),
  );
  assert.deepEqual(paths.toSorted(), names.toSorted());
});

test('GetRawChanges refuses revisions that do not exist', async () => {
  await using fixture = await startWithRepository({ commits: 1 });
  const { calls } = fixture;
  const changes = (fromRevision: string, toRevision: string) =>
    Array.fromAsync(calls.getRawChanges({ repository, fromRevision, toRevision }));

  await assert.rejects(changes('no', 'main'), {
    code: 'INVALID_ARGUMENT',
    message: 'invalid \'from\' revision: "no"',
  });
  await assert.rejects(changes('main', 'no'), {
    code: 'INVALID_ARGUMENT',
    message: 'invalid \'to\' revision: "no"',
  });
});

test('SearchFilesByContent cuts a long match into messages of 128 KiB', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls } = fixture;
  const line = `needle${'x'.repeat(576 * 1024)}`;
  const short = Array.from({ length: 21_000 }, () => 'needle').join('\n');
  commitFiles(directory, { 'a-long': line, 'b-short': short });

  const sizes: number[][] = [[]];
  for await (const { matchData, endOfMatch } of calls.searchFilesByContent({
    repository,
    query: 'needle',
    ref: bytes('main'),
  })) {
    if (endOfMatch) sizes.push([]);
    else sizes.at(-1)?.push(matchData.length);
  }

  const [long = [], many = [], rest] = sizes;
  assert.deepEqual(rest, []);
  for (const match of [long, many]) assert.ok(match.slice(0, -1).every((size) => size === 128 * 1024));
  assert.equal(sum(long), line.length + 'main:a-long\x001\0\n'.length);
  const numbers = Array.from({ length: 21_000 }, (_, index) => String(index + 1).length);
  assert.equal(sum(many), sum(numbers) + 21_000 * 'main:b-short\0\0needle\n'.length);
});

test('a client that leaves a search ends git', async () => {
  await using fixture = await startWithRepository();
  const { gitaly, directory, calls } = fixture;
  const line = `needle${'x'.repeat(1000)}\n`;
  commitFiles(
    directory,
    Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`f${n}`, line.repeat(500)])),
  );

  for await (const { matchData } of calls.searchFilesByContent({
    repository,
    query: 'needle',
    ref: bytes('main'),
  })) {
    assert.ok(matchData.length > 0);
    break;
  }

  await until(
    () => gitaly.log.some((line) => line['grpc.method'] === 'SearchFilesByContent'),
    'the call goes on',
  );
  const line_ = gitaly.log.find((each) => each['grpc.method'] === 'SearchFilesByContent');
  assert.equal(line_?.['grpc.code'], 'Canceled');
});

test('GetConfig streams the file as it is, and reports a missing one', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls } = fixture;
  const file = join(directory, 'config');
  writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from('# \xff\0 '.repeat(20_000), 'latin1')]));
  const read = async () =>
    Buffer.concat((await Array.fromAsync(calls.getConfig({ repository }))).map(({ data }) => data));

  assert.deepEqual(await read(), readFileSync(file));

  rmSync(file);
  await assert.rejects(read(), {
    code: 'NOT_FOUND',
    message: `opening gitconfig: open ${file}: no such file or directory`,
  });
});

test('GetInfoAttributes reads the file of HEAD, of any size', async () => {
  await using fixture = await startWithRepository();
  const { directory, calls } = fixture;
  const read = () => Array.fromAsync(calls.getInfoAttributes({ repository }));
  assert.deepEqual(
    (await read()).map(({ attributes }) => attributes.length),
    [0],
  );
  const attributes = '*.txt text\n'.repeat(30_000);

  commitFiles(directory, { '.gitattributes': attributes });
  assert.equal((await read()).map((message) => text(message.attributes)).join(''), attributes);

  commitFiles(directory, { '.gitattributes': '' });
  assert.deepEqual(
    (await read()).map((message) => message.attributes.length),
    [0],
  );
  mkdirSync(join(directory, 'info'), { recursive: true });
  commitFiles(directory, { '.gitattributes/file': 'x' });
  writeFileSync(join(directory, 'info/attributes'), 'ignored');
  assert.deepEqual(
    (await read()).map((message) => message.attributes.length),
    [0],
  );
});

type Calls = Awaited<ReturnType<typeof startWithRepository>>['calls'];

async function search(calls: Calls, query: string, ref = 'main'): Promise<string[]> {
  const matches: string[] = [];
  let match = '';
  for await (const { matchData, endOfMatch } of calls.searchFilesByContent({
    repository,
    query,
    ref: bytes(ref),
  })) {
    match += Buffer.from(matchData).toString('latin1');
    if (!endOfMatch) continue;
    matches.push(match);
    match = '';
  }
  assert.equal(match, '');
  return matches;
}

const NAMES: Readonly<Record<string, string>> = {
  A: 'ADDED',
  C: 'COPIED',
  D: 'DELETED',
  M: 'MODIFIED',
  R: 'RENAMED',
  T: 'TYPE_CHANGED',
};

function expectedChanges(directory: string, from: string, to: string): unknown[] {
  const empty = gitOutput(directory, ['hash-object', '-t', 'tree', '--stdin'], '');
  const fields = gitOutput(directory, ['diff', '--raw', '-z', '--abbrev=64', from || empty, to]).split('\0');
  const expected: unknown[] = [];
  while (fields.length > 1) {
    const [oldMode = '', newMode = '', oldOid = '', newOid = '', status = ''] = (fields.shift() ?? '')
      .slice(1)
      .split(' ');
    const kind = status[0] ?? '';
    const path = fields.shift() ?? '';
    const newPath = kind === 'R' || kind === 'C' ? (fields.shift() ?? '') : path;
    const isSubmodule = (kind === 'D' ? oldMode : newMode) === '160000';
    const oid = isSubmodule ? '' : kind === 'D' ? oldOid : newOid;
    const size = isSubmodule ? 0 : Number(gitOutput(directory, ['cat-file', '-s', oid]));
    const modes = [oldMode, newMode].map((mode) => Number.parseInt(mode, 8));
    expected.push([...modes, NAMES[kind], oid, size, kind === 'A' ? '' : path, kind === 'D' ? '' : newPath]);
  }
  return expected;
}

function submoduleCommit(parent: string): string {
  return [
    'commit refs/heads/main',
    'committer C <c@example.com> 1600000000 +0000',
    'data 3',
    'sub',
    `from ${parent}`,
    `M 160000 ${'1'.repeat(parent.length)} module`,
    '',
    '',
  ].join('\n');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
