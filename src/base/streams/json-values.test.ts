import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { jsonValues } from './json-values.ts';

async function* pieces(text: string | Buffer, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const read = (text: string | Buffer, size = 1, maxLength = 1000) =>
  Array.fromAsync(jsonValues(pieces(text, size), { maxLength }));

test('values are found at any cut, with any space between them', async () => {
  const value = fc.oneof(
    fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })),
    fc.array(fc.jsonValue({ maxDepth: 2 })),
  );
  const space = fc.constantFrom('', ' ', '\n', '\r\n\t ');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(value, space, fc.constantFrom(undefined, 2)), { maxLength: 5 }),
      fc.integer({ min: 1, max: 50 }),
      async (values, size) => {
        const text = values.map(([each, after, indent]) => JSON.stringify(each, undefined, indent) + after);
        const expected = values.map(([each]) => JSON.parse(JSON.stringify(each)));
        assert.deepEqual(await read(text.join(''), size, 1_000_000), expected);
      },
    ),
    { numRuns: 300 },
  );
});

for (const [text, message] of [
  ['{"a":1} x', /invalid character "x"/],
  ['3', /invalid character "3"/],
  ['{"a":', /unexpected EOF/],
  ['{"a":"}', /unexpected EOF/],
  ['{"a" 1}', /JSON/],
  [`{"a":"${'x'.repeat(2000)}"}`, /longer than 1000 characters/],
  [`{"a":${'['.repeat(2000)}`, /longer than 1000 characters/],
] as const)
  test(`${text.slice(0, 20)} is refused`, async () => {
    for (const size of [1, 7, 100_000])
      await assert.rejects(read(text, size), { name: 'SyntaxError', message });
  });
