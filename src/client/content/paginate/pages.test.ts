import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allPages, type Page, pageByCursor, pageByLast } from './pages.ts';

async function* stream<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

/** Reads all pages, and records the tokens with which they were opened. */
async function read(openPage: (token: string) => Page<number>) {
  const tokens: string[] = [];
  const items = await Array.fromAsync(
    allPages((token) => {
      tokens.push(token);
      return openPage(token);
    }),
  );
  return { items, tokens };
}

test('without cursors the last item of a full page is the token of the next one', async () => {
  const byToken: Record<string, number[]> = { '': [1, 2], '2': [3, 4], '4': [5] };

  const result = await read((token) => pageByLast(stream(byToken[token] ?? []), 2, String));

  assert.deepEqual(result, { items: [1, 2, 3, 4, 5], tokens: ['', '2', '4'] });
});

test('a page that is larger than requested is the whole list, as of servers without pages', async () => {
  const result = await read(() => pageByLast(stream([1, 2, 3]), 2, String));

  assert.deepEqual(result, { items: [1, 2, 3], tokens: [''] });
});

test('an empty page, and a server that repeats a token, end the list', async () => {
  assert.deepEqual(await read(() => pageByLast(stream([]), 2, String)), { items: [], tokens: [''] });
  const repeated = await read(() => pageByLast(stream([1, 2]), 2, String));
  assert.deepEqual(repeated, { items: [1, 2, 1, 2], tokens: ['', '2'] });
});

test('a cursor in any message of a page leads to the next one', async () => {
  const message = (items: number[], nextCursor?: string) => ({
    ...(nextCursor !== undefined && { paginationCursor: { nextCursor } }),
    items,
  });
  const byToken: Record<string, ReturnType<typeof message>[]> = {
    '': [message([1], 'next'), message([2]), message([3], '')],
    next: [message([4], 'early'), message([5], 'last')],
    last: [message([6])],
  };

  const result = await read((token) => pageByCursor(stream(byToken[token] ?? []), ({ items }) => items));

  assert.deepEqual(result, { items: [1, 2, 3, 4, 5, 6], tokens: ['', 'next', 'last'] });
});

test('leaving the loop opens no further page and ends the running one', async () => {
  let isEnded = false;
  let pages = 0;
  const items = async function* () {
    try {
      yield* [1, 2, 3];
    } finally {
      isEnded = true;
    }
  };

  for await (const item of allPages(() => {
    pages++;
    return pageByLast(items(), 3, String);
  }))
    if (item === 2) break;

  assert.deepEqual([isEnded, pages], [true, 1]);
});
