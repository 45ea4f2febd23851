import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withPaths } from './conflict-file.ts';

const OURS = 'a'.repeat(40);
const THEIRS = `${'a'.repeat(39)}b`;
/** More than is searched at once. */
const BYTES = 100_000;
const { signal } = new AbortController();

for (const { name, between } of [
  { name: 'that follow each other', between: 0 },
  { name: 'that begin at all places', between: 7 },
  { name: 'with much between them', between: 5003 },
])
  test(`ids ${name} are replaced by paths`, async () => {
    const piece = `${OURS}${'-'.repeat(between)}${THEIRS}${'a'.repeat(between)}`;
    const text = `<${piece.repeat(Math.ceil(BYTES / piece.length))}${THEIRS}`;
    const paths = { ours: Buffer.from('of ours'), theirs: Buffer.alloc(0) };

    const named = await withPaths(Buffer.from(text), { ours: OURS, theirs: THEIRS }, paths, signal);

    assert.equal(named.toString(), text.replaceAll(OURS, 'of ours').replaceAll(THEIRS, ''));
  });

test('a file that its paths would make much larger is refused', async () => {
  const content = Buffer.from(OURS.repeat(BYTES));
  const paths = { ours: Buffer.alloc(4000, 'p'), theirs: Buffer.alloc(0) };
  await assert.rejects(withPaths(content, { ours: OURS, theirs: THEIRS }, paths, signal), {
    code: 'RESOURCE_EXHAUSTED',
    message: 'file in conflict has 400000000 bytes with the paths of its sides, more than 134217728',
  });
});

test('contents without ids are not copied', async () => {
  const content = Buffer.alloc(BYTES, 'a-');
  const none = { ours: Buffer.alloc(0), theirs: Buffer.alloc(0) };
  assert.equal(await withPaths(content, { ours: OURS, theirs: THEIRS }, none, signal), content);
});
