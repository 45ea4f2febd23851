import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { blockFor, countTurns } from '#testkit/measure/loop-turns';
import { lineBatches } from './line-batches.ts';

async function linesOf(
  chunks: Uint8Array[],
  options: Parameters<typeof lineBatches>[1] = {},
): Promise<string[]> {
  const lines: string[] = [];
  for await (const batch of lineBatches(chunks, options)) {
    assert.notEqual(batch.length, 0);
    lines.push(...batch.map((line) => line.toString('latin1')));
  }
  return lines;
}

test('lines are returned unchanged, wherever the chunks are split', async () => {
  const bytes = fc.uint8Array({ maxLength: 40 }).map((a) => a.map((byte) => (byte % 4 === 0 ? 10 : byte)));
  await fc.assert(
    fc.asyncProperty(fc.array(bytes, { maxLength: 10 }), async (chunks) => {
      const all = Buffer.concat(chunks).toString('latin1');
      const expected = all.split('\n');
      if (expected.at(-1) === '') expected.pop();

      assert.deepEqual(await linesOf(chunks), expected);
    }),
  );
});

test('lines may have another delimiter', async () => {
  assert.deepEqual(await linesOf([Buffer.from('a\nb\0c')], { delimiter: 0 }), ['a\nb', 'c']);
});

test('a line that is too long is an error, in one chunk or several', async () => {
  for (const chunks of [['abcdef\n'], ['abc', 'def'], ['abc', 'def\n']]) {
    await assert.rejects(
      linesOf(
        chunks.map((chunk) => Buffer.from(chunk)),
        { maxLineBytes: 5 },
      ),
      { code: 'RESOURCE_EXHAUSTED', message: 'line exceeds 5 bytes' },
    );
  }
});

// Symptom: other calls waited for 200 ms while a list of 100,000 changed files was read.
test('a chunk with many lines is read in slices of the event loop', async () => {
  using turns = countTurns();
  let lines = 0;

  for await (const batch of lineBatches([Buffer.alloc(5 * 256 * 2, 'x\n')])) {
    lines += batch.length;
    blockFor(6);
  }

  assert.equal(lines, 5 * 256);
  assert.ok(turns.count >= 4, `${turns.count} turns`);
});
