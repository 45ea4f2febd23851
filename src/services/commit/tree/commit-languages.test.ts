import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateSync, inflateSync } from 'node:zlib';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };

/** Puts files into a new commit of `main`; `null` removes one. */
function commit(directory: string, files: Readonly<Record<string, string | null>>): void {
  const changes = Object.entries(files).map(([path, content]) =>
    content === null ? `D ${path}\n` : `M 100644 inline ${path}\ndata ${content.length}\n${content}\n`,
  );
  const from =
    gitOutput(directory, ['for-each-ref', 'refs/heads/main']) === '' ? '' : 'from refs/heads/main^0\n';
  gitOutput(
    directory,
    ['fast-import', '--quiet'],
    `commit refs/heads/main\ncommitter C <c@x> 1 +0000\ndata 0\n${from}${changes.join('')}\n`,
  );
}

async function languages(gitaly: TestGitaly, revision = 'main'): Promise<Record<string, number>> {
  const response = await gitaly.connection.commit.commitLanguages({
    repository,
    revision: Buffer.from(revision),
  });
  return Object.fromEntries(response.languages.map(({ name, bytes }) => [name, Number(bytes)]));
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`CommitLanguages counts a ${objectFormat} repository, and later only what changed`, async () => {
    await using gitaly = await startGitaly();
    const directory = initServed(gitaly, 'x.git', { objectFormat });
    const stats = join(directory, 'gitaly-language.stats');
    const steps: readonly (readonly [Readonly<Record<string, string | null>>, Record<string, number>])[] = [
      [
        { 'a.rb': '12345', 'b.go': '123', 'c.json': '{}', 'vendor/d.rb': '1' },
        { Ruby: 5, Go: 3 },
      ],
      [
        { 'a.rb': '1', 'lib/e.py': '12' },
        { Ruby: 1, Go: 3, Python: 2 },
      ],
      [{ 'b.go': null, 'lib/e.py': null, 'lib/e.rb': '12' }, { Ruby: 3 }],
      [{ 'lib/.gitattributes': '*.rb linguist-language=cpp' }, { Ruby: 1, 'C++': 2 }],
      [
        { 'lib/f.rb': '123', 'g.rb': '1' },
        { Ruby: 2, 'C++': 5 },
      ],
      [{ '.gitattributes': 'vendor/* -linguist-vendored' }, { Ruby: 3, 'C++': 5 }],
      [{ 'a.rb': '\0' }, { Ruby: 2, 'C++': 5 }],
    ];

    for (const [files, expected] of steps) {
      commit(directory, files);
      assert.deepEqual(await languages(gitaly), expected);
      assert.deepEqual(await languages(gitaly), expected, 'from the file');
      const stored = JSON.parse(inflateSync(readFileSync(stats)).toString());
      assert.deepEqual(
        [stored.version, stored.commit_id, stored.totals],
        ['v3:gitaly', gitOutput(directory, ['rev-parse', 'main']), expected],
      );
    }
    rmSync(stats);
    assert.deepEqual(await languages(gitaly), steps.at(-1)?.[1], 'counted anew');
  });
}

test('CommitLanguages counts anew where it cannot go on from what it counted last', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  commit(directory, { 'a.rb': '1' });
  const stats = join(directory, 'gitaly-language.stats');

  for (const broken of ['', 'garbage']) {
    writeFileSync(stats, broken);
    assert.deepEqual(await languages(gitaly), { Ruby: 1 });
  }
  gitOutput(directory, ['update-ref', '-d', 'refs/heads/main']);
  commit(directory, { 'b.go': '12' });
  gitOutput(directory, ['reflog', 'expire', '--expire=now', '--all']);
  gitOutput(directory, ['gc', '-q', '--prune=now']);

  assert.deepEqual(await languages(gitaly), { Go: 2 });
});

test('CommitLanguages continues from what another server has counted meanwhile', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  commit(directory, { 'a.rb': '1', 'b.go': '12' });
  const stats = join(directory, 'gitaly-language.stats');
  assert.deepEqual(await languages(gitaly), { Ruby: 1, Go: 2 });
  const stored = JSON.parse(inflateSync(readFileSync(stats)).toString());
  const others = {
    ...stored,
    totals: { Ruby: 100, Go: 2 },
    by_file: { 'a.rb': { Ruby: 100 }, 'b.go': { Go: 2 } },
  };

  writeFileSync(stats, deflateSync(JSON.stringify(others)));

  assert.deepEqual(await languages(gitaly), { Ruby: 100, Go: 2 });
  commit(directory, { 'b.go': '1234' });
  assert.deepEqual(await languages(gitaly), { Ruby: 100, Go: 4 });
  assert.deepEqual(await languages(gitaly, 'main~1'), { Ruby: 100, Go: 2 });
});

/** Returns the stored counts with other ones for the files. */
function storedWith(stats: string, files: string): Buffer {
  const { by_file, ...others } = JSON.parse(inflateSync(readFileSync(stats)).toString());
  assert.notEqual(by_file, undefined);
  return deflateSync(`${JSON.stringify(others).slice(0, -1)},"by_file":${files}}`);
}

test('CommitLanguages takes an ambiguous name for a branch', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  commit(directory, { 'a.rb': '1' });
  gitOutput(directory, ['tag', 'both', 'main']);
  commit(directory, { 'b.go': '12' });
  assert.deepEqual(await languages(gitaly, 'both'), { Ruby: 1 });

  gitOutput(directory, ['branch', 'both', 'main']);

  assert.deepEqual(await languages(gitaly, 'both'), { Ruby: 1, Go: 2 });
});

test('CommitLanguages reads the stored counts of paths that look like JSON', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  commit(directory, { '.gitattributes': '* linguist-language=Ruby', x: '123' });
  const stats = join(directory, 'gitaly-language.stats');
  assert.deepEqual(await languages(gitaly), { Ruby: 3 });
  // Each of these paths hides the end of its own counts.
  const ends = ['},', '"},', '\\"},', ',"by_file":{', '}}', '":{"Ruby":7},"', '__proto__', '7'];
  const paths = ends.flatMap((end) => Array.from({ length: 2000 }, (_, index) => `${index}${end}`));
  const files = Object.fromEntries([...paths, 'x'].map((path) => [path, { Ruby: 3 }]));

  writeFileSync(stats, storedWith(stats, JSON.stringify(files)));
  commit(directory, { x: '12345' });

  assert.deepEqual(await languages(gitaly), { Ruby: 5 });
  const stored = JSON.parse(inflateSync(readFileSync(stats)).toString());
  assert.deepEqual(stored.by_file, { ...files, x: { Ruby: 5 } });
});

test('CommitLanguages counts anew where the stored counts of files are damaged', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const stats = join(directory, 'gitaly-language.stats');
  const damaged = ['{"a.rb":{"Ruby":"1"}}', '{"a.rb":{"Ruby":1}', '{"a.rb"}}', '{"a.rb":1}', 'null', '[]'];

  for (const [index, files] of damaged.entries()) {
    commit(directory, { 'a.rb': '1', 'b.rb': `${index}` });
    assert.deepEqual(await languages(gitaly), { Ruby: 2 });
    writeFileSync(stats, storedWith(stats, files));
    commit(directory, { 'b.rb': `new ${index}` });
    assert.deepEqual(await languages(gitaly), { Ruby: 6 }, files);
  }
});

test('CommitLanguages leaves no file behind when it fails', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');

  await assert.rejects(languages(gitaly, 'none'), { code: 'INTERNAL' });

  assert.equal(existsSync(join(directory, 'gitaly-language.stats')), false);
});

test('many who ask at once get the same answer', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  commit(
    directory,
    Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`${index}.${['rb', 'go', 'md'][index % 3]}`, 'x']),
    ),
  );

  const answers = await Promise.all(Array.from({ length: 8 }, () => languages(gitaly)));

  for (const answer of answers) assert.deepEqual(answer, { Ruby: 100, Go: 100 });
});
