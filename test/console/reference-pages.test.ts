import assert from 'node:assert/strict';
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
