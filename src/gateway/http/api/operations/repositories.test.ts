import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listRepositories } from './repositories.ts';

/** Returns the pages that a user gets, from one list of paths after another. */
async function pagesOf(
  lists: readonly (readonly string[])[],
  mayRead: (path: string) => boolean,
  prefix = '',
) {
  const pages: {
    readonly items: readonly { readonly path: string }[];
    readonly next?: string | undefined;
  }[] = [];
  let next: string | undefined;
  do {
    const paths = lists[Math.min(pages.length, lists.length - 1)] ?? [];
    const others = { paths: async () => paths, mayRead: async (path: string) => mayRead(path) };
    // The operation uses only these.
    const call = { options: {}, others, query: { prefix } } as unknown as Parameters<
      typeof listRepositories.serve
    >[0];
    const answer = await listRepositories.serve(call);
    assert.ok('page' in answer);
    const page = await answer.page(next, 50);
    pages.push(page as (typeof pages)[number]);
    next = page.next;
  } while (next !== undefined);
  return { items: pages.flatMap(({ items }) => items.map(({ path }) => path)), pages };
}

const hidden = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `secret-${String(index).padStart(5, '0')}.git`);
const mayRead = (path: string): boolean => !path.startsWith('secret');

// Symptom: a page that ended after 1,000 hidden repositories had the name of the last one.
test('no cursor contains the name of a hidden repository', async () => {
  const paths = ['a.git', ...hidden(2500), 'z.git'];

  for (const prefix of ['', 'secret', 'secret-0']) {
    const { items, pages } = await pagesOf([paths], mayRead, prefix);

    assert.deepEqual(items, prefix === '' ? ['a.git', 'z.git'] : []);
    assert.ok(pages.length > 2);
    for (const { next } of pages) assert.doesNotMatch(next ?? '', /secret/);
  }
});

test('no repository is left out when hidden ones before it are removed between two pages', async () => {
  const before = ['a.git', ...hidden(1005), 'y.git', 'z.git'];

  const { items } = await pagesOf([before, before.toSpliced(1, 100)], mayRead);

  assert.deepEqual(items, ['a.git', 'y.git', 'z.git']);
});

test('the pages of what is visible have each repository once', async () => {
  const visible = hidden(130).map((path) => path.replace('secret', 'team'));

  const { items, pages } = await pagesOf([['a.git', ...visible]], mayRead, 'team-');

  assert.deepEqual(items, visible);
  assert.equal(pages.length, 3);
});
