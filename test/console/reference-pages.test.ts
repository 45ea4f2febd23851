import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type OpenedConsole, openConsole } from './open-console.ts';

const PATH = '/repository/a.git/-';

interface ListedReference {
  readonly name: string;
  readonly ahead: number | null;
  readonly behind: number | null;
}

/** Reads all pages of a list. */
async function everyPage(
  console: OpenedConsole,
  kind: 'branches' | 'tags',
  query = '',
): Promise<ListedReference[][]> {
  const pages: ListedReference[][] = [];
  let address: string | null = `${PATH}/${kind}${query}`;
  while (address !== null) {
    const page = await console.json(address);
    pages.push(page[kind]);
    address = page.next?.replace('/-/console', '') ?? null;
  }
  return pages;
}

const namesOf = (pages: readonly (readonly ListedReference[])[]): string[] =>
  pages.flat().map(({ name }) => name);

test('branches are shown in pages: the default first, then those with the latest commits', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 3 });
  const tips = (await repository.git(['rev-list', 'main'])).trim().split('\n');
  const updates = Array.from(
    { length: 230 },
    (_, index) => `create refs/heads/team/b-${index} ${tips[index % tips.length]}\n`,
  );
  await repository.git(['update-ref', '--stdin'], Buffer.from(updates.join('')));
  await repository.commit({
    branch: 'Latest',
    message: 'newer than all',
    author: { name: 'Ann', email: 'ann@example.com', seconds: 2_000_000_000 },
  });

  const pages = await everyPage(console, 'branches');

  const byDate = (
    await repository.git(['for-each-ref', '--sort=-committerdate', '--format=%(refname:short)', 'refs/heads'])
  )
    .trim()
    .split('\n');
  assert.deepEqual(
    pages.map(({ length }) => length),
    [100, 100, 32],
  );
  assert.deepEqual(namesOf(pages), ['main', ...byDate.filter((name) => name !== 'main')]);
  const found = namesOf(await everyPage(console, 'branches', '?search=LATE'));
  assert.deepEqual(found, ['Latest']);
  const { text } = await console.get(`${PATH}/branches?search=none`);
  assert.match(text, /No name contains “none”/);
});

test('branches are compared with the default branch as by git', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 2 });
  for (const branch of ['one', 'two']) await repository.git(['branch', branch]);
  await repository.commit({ branch: 'one', message: 'ahead' });
  await repository.commit({ branch: 'main', message: 'behind' });
  await repository.git(['branch', 'old', 'main~2']);

  const [page = []] = await everyPage(console, 'branches');

  for (const { ahead, behind, name } of page) {
    if (name === 'main') continue;
    const counted = await repository.git(['rev-list', '--left-right', '--count', `main...${name}`]);
    assert.deepEqual([behind, ahead], counted.trim().split('\t').map(Number), name);
  }
  const main = page.find(({ name }) => name === 'main');
  assert.deepEqual([main?.ahead, main?.behind], [null, null]);
});

test('tags are shown in pages, and found by a part of their name', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  const updates = Array.from({ length: 130 }, (_, index) => `create refs/tags/v${index} HEAD\n`);
  await repository.git(['update-ref', '--stdin'], Buffer.from(updates.join('')));

  const pages = await everyPage(console, 'tags');

  assert.deepEqual(
    pages.map(({ length }) => length),
    [100, 30],
  );
  assert.deepEqual(namesOf(pages).sort(), Array.from({ length: 130 }, (_, index) => `v${index}`).sort());
  assert.deepEqual(namesOf(await everyPage(console, 'tags', '?search=V12')).sort(), [
    'v12',
    ...Array.from({ length: 10 }, (_, index) => `v12${index}`),
  ]);
});

test('two branches are compared: commits, files, and where they parted', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 2 });
  await repository.git(['branch', 'team/x']);
  for (let index = 0; index < 60; index++)
    await repository.commit({
      branch: 'team/x',
      message: `x ${index}`,
      files: { [`x-${index % 3}`]: `${index}\n` },
    });
  await repository.commit({ branch: 'main', message: 'elsewhere', files: { main: 'main\n' } });

  const first = await console.json(`${PATH}/compare/main...team/x`);
  const second = await console.json(first.next.replace('/-/console', ''));
  const byForm = await console.json(`${PATH}/compare?from=main&to=team%2Fx`);

  const ids = [...first.commits, ...second.commits].map(({ id }) => id);
  assert.deepEqual(ids, (await repository.git(['rev-list', 'main..team/x'])).trim().split('\n'));
  assert.equal(first.mergeBase, (await repository.git(['merge-base', 'main', 'team/x'])).trim());
  const stat = await repository.git(['diff', '--numstat', 'main...team/x']);
  assert.deepEqual(
    first.files.map(({ linesAdded, linesRemoved, to }: Record<string, unknown>) =>
      [linesAdded, linesRemoved, to].join('\t'),
    ),
    stat.trim().split('\n'),
  );
  assert.deepEqual(byForm, first);
  for (const rest of ['main...none', 'none...main', 'main...--output=x'])
    assert.equal((await console.get(`${PATH}/compare/${rest}`)).status, 404, rest);
  assert.match((await console.get(`${PATH}/compare`)).text, /Compare two revisions/);
});

test('commits are filtered by author, and have the kind of their signature', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  await repository.commit({ message: 'by ann', author: { name: 'Zora', email: 'zora@example.com' } });
  const signature = '-----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n -----END SSH SIGNATURE-----';
  const plain = await repository.git(['cat-file', 'commit', 'main']);
  const signed = plain.replace('\n\n', `\ngpgsig ${signature}\n\n`);
  const oid = (
    await repository.git(['hash-object', '-t', 'commit', '-w', '--stdin'], Buffer.from(signed))
  ).trim();
  await repository.git(['update-ref', 'refs/heads/main', oid]);

  const { commits } = await console.json(`${PATH}/commits?author=zora%40`);
  assert.deepEqual(
    commits.map(({ id, signature: kind }: { id: string; signature: string | null }) => [id, kind]),
    [[oid, 'SSH']],
  );
  assert.match((await console.get(`${PATH}/commit/${oid}`)).text, /SSH, not verified/);
  assert.match((await console.get(`${PATH}/commits?author=nobody`)).text, /There are no such commits/);
});

test('a branch that leads to no commit is listed', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  const main = (await repository.git(['rev-parse', 'main'])).trim();
  const missing = '1'.repeat(40);
  writeFileSync(join(repository.path, 'refs/heads/broken'), `${missing}\n`);

  const { branches } = await console.json(`${PATH}/branches`);

  assert.deepEqual(
    branches.map(({ commit, date, name }: Record<string, unknown>) => [name, commit, date === null]),
    [
      ['main', main, false],
      ['broken', missing, true],
    ],
  );
  assert.match((await console.get(`${PATH}/branches`)).text, /broken/);
});
