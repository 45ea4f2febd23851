import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };
const ref = Buffer.from('main');

async function start(objectFormat: 'sha1' | 'sha256' = 'sha1') {
  const gitaly = await startGitaly();
  const directory = initServed(gitaly, repository.relativePath, { objectFormat });
  const { repository: calls } = gitaly.connection;
  const search = async (
    query: string,
    options: { filter?: string; offset?: number; limit?: number } = {},
  ) => {
    const messages = await Array.fromAsync(calls.searchFilesByName({ repository, query, ref, ...options }));
    assert.equal(messages.length, 1, 'there is always one message');
    return (messages[0]?.files ?? []).map((file) => Buffer.from(file).toString());
  };
  return { directory, search, [Symbol.asyncDispose]: () => gitaly[Symbol.asyncDispose]() };
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`files are found by directory, filter and page (${objectFormat})`, async () => {
    await using fixture = await start(objectFormat);
    const { directory, search } = fixture;
    const names = ['"quoted"', '.dot', 'a.md', 'd/a.md', 'd/b.txt', 'd/e/ö.md', '漢字/a.MD', 'new\nline'];
    commitFiles(directory, Object.fromEntries(names.map((name) => [name, ''])));
    const all = gitOutput(directory, ['ls-tree', '-r', '-z', '--name-only', 'main']).split('\0').slice(0, -1);

    assert.deepEqual(await search('.'), all);
    for (const query of ['d', 'd/', 'd/e', 'a.md', '漢字', 'new\nline', 'd/../d'])
      assert.deepEqual(
        await search(query),
        gitOutput(directory, ['ls-tree', '-r', '-z', '--name-only', 'main', '--', query])
          .split('\0')
          .slice(0, -1),
        query,
      );
    assert.deepEqual(
      await search('.', { filter: '(?i)\\.md$' }),
      all.filter((name) => /\.md$/i.test(name)),
    );
    assert.deepEqual(await search('d', { filter: 'ö|b' }), ['d/b.txt', 'd/e/ö.md']);
    assert.deepEqual(await search('.', { offset: 2, limit: 3 }), all.slice(2, 5));
    assert.deepEqual(await search('.', { offset: 1, limit: 2, filter: 'md' }), ['d/a.md', 'd/e/ö.md']);
    assert.deepEqual(await search('.', { offset: 100 }), []);
    for (const query of ['x', '*.md', '../x', ':(icase)A.MD', '--'])
      assert.deepEqual(await search(query), []);
  });
}

test('a filter of exponential cost for other engines delays no other call', async () => {
  await using fixture = await start();
  const { directory, search } = fixture;
  const names = Array.from({ length: 2000 }, (_, number) => `${'a'.repeat(80)}${number}`);
  commitFiles(directory, Object.fromEntries(names.map((name) => [name, ''])));

  assert.deepEqual(await search('.', { filter: '^(a|a|aa|a*)*$' }), []);
});

test('a list of a hundred thousand files is one message', async () => {
  await using fixture = await start();
  const { directory, search } = fixture;
  // git fast-import looks through the whole directory for each new file.
  const names = Array.from({ length: 100_000 }, (_, number) => `${number % 500}/${number}`);
  commitFiles(directory, Object.fromEntries(names.map((name) => [name, ''])));

  assert.equal((await search('.')).length, 100_000);
  assert.deepEqual(await search('.', { offset: 99_999 }), ['99/99599']);
});
