import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import {
  cutPage,
  decodeCursor,
  encodeCursor,
  inLines,
  itemsOf,
  MissingPageTokenError,
  type PageBounds,
} from './pagination.ts';

interface Item {
  readonly name: Buffer;
}

async function* batchesOf(sizes: readonly number[]): AsyncGenerator<Item[]> {
  let next = 0;
  for (const size of sizes) yield Array.from({ length: size }, () => ({ name: Buffer.from(`n${next++}`) }));
}

const page = (limit: number, after = ''): PageBounds => ({ limit, after: Buffer.from(after) });
const text = ({ name }: Item): string => name.toString();

test('a page is what stands behind its token, however the list is cut into batches', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(30), { maxLength: 8 }),
      fc.nat(90),
      fc.nat(90),
      async (sizes, limit, start) => {
        const all = (await Array.fromAsync(batchesOf(sizes))).flat().map(text);
        const after = all[start];

        const parts = await Array.fromAsync(cutPage(batchesOf(sizes), page(limit + 1, after ?? '')));
        const first = after === undefined ? 0 : start + 1;

        assert.deepEqual(
          parts.flatMap(({ items }) => items.map(text)),
          all.slice(first, first + limit + 1),
        );
        assert.equal(parts.at(-1)?.hasMore ?? false, all.length > first + limit + 1);
      },
    ),
  );
});

test('lines have 20 items but the last, and only that one knows that there is more', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(50), { maxLength: 6 }),
      fc.integer({ min: 1, max: 120 }),
      async (sizes, limit) => {
        const all = (await Array.fromAsync(batchesOf(sizes))).flat().map(text);

        const lines = await Array.fromAsync(inLines(cutPage(batchesOf(sizes), page(limit))));

        assert.deepEqual(
          lines.flatMap(({ items }) => items.map(text)),
          all.slice(0, limit),
        );
        assert.ok(lines.slice(0, -1).every(({ items, hasMore }) => items.length === 20 && !hasMore));
        if (lines.length > 0) assert.equal(lines.at(-1)?.hasMore, all.length > limit);
      },
    ),
  );
});

test('a limit of 0 is an empty page that asks for nothing, and with a token an error', async () => {
  let isAsked = false;
  async function* list(): AsyncGenerator<Item[]> {
    isAsked = true;
    yield [{ name: Buffer.from('a') }];
  }

  assert.deepEqual(await Array.fromAsync(itemsOf(cutPage(list(), page(0)))), []);
  await assert.rejects(Array.fromAsync(cutPage(list(), page(0, 'a'))), MissingPageTokenError);
  assert.equal(isAsked, false);
  await assert.rejects(Array.fromAsync(cutPage(list(), page(1, 'b'))), MissingPageTokenError);
});

test('cursors are base64 of JSON as Go writes it, and other tokens are none', () => {
  assert.equal(
    Buffer.from(encodeCursor({ ref_name: 'a<b>&"é\u2028' }), 'base64').toString(),
    '{"ref_name":"a\\u003cb\\u003e\\u0026\\"é\\u2028"}',
  );
  assert.deepEqual(decodeCursor(encodeCursor({ ref_name: 'refs/heads/x&y' }))?.entries(), [
    ['ref_name', 'refs/heads/x&y'],
  ]);
  for (const token of ['', 'refs/heads/main', 'main', 'bm90IGpzb24=', 'NQ==', 'bnVsbA==', 'eyJ9'])
    assert.equal(decodeCursor(token)?.text('ref_name'), undefined, token);
});
