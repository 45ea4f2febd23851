import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { MATCH_END, splitMatches } from './content-matches.ts';

async function matchesOf(chunks: readonly Buffer[], partBytes: number): Promise<string[]> {
  const matches: string[] = [];
  let parts: Buffer[] = [];
  const batches = await Array.fromAsync(splitMatches(chunks, partBytes));
  for (const part of batches.flat()) {
    if (part === MATCH_END) {
      for (const full of parts.slice(0, -1)) assert.equal(full.length, partBytes);
      matches.push(Buffer.concat(parts).toString('latin1'));
      parts = [];
    } else {
      assert.ok(part.length > 0 && part.length <= partBytes);
      parts.push(part);
    }
  }
  assert.deepEqual(parts, [], 'each match ends');
  return matches;
}

test('matches are found wherever the chunks are split', async () => {
  const lines = fc.array(fc.constantFrom('-', '--', '---', 'a--', 'text', 'x'.repeat(20)), {
    minLength: 1,
    maxLength: 3,
  });
  const matches = fc.array(
    lines.map((all) => all.map((line) => `m:f\u00001\u0000${line}\n`).join('')),
    { maxLength: 5 },
  );
  await fc.assert(
    fc.asyncProperty(
      matches,
      fc.array(fc.nat(200)),
      fc.integer({ min: 1, max: 60 }),
      async (all, cuts, size) => {
        const bytes = Buffer.from(all.join('--\n'), 'latin1');
        const at = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort(
          (a, b) => a - b,
        );
        const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end));

        assert.deepEqual(await matchesOf(chunks, size), all);
      },
    ),
  );
});

test('no output has no matches', async () => {
  assert.deepEqual(await matchesOf([], 10), []);
});
