import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError } from './connection-error.ts';
import { decodeHeaders } from './decode-headers.ts';

const LIMITS = { maxListBytes: 1000, maxPairs: 10 };

const decoded = (hex: string, limits = LIMITS) => decodeHeaders(Buffer.from(hex, 'hex'), limits);

const isCompressionError = (error: unknown): boolean => error instanceof ConnectionError && error.code === 9;

// Examples of RFC 7541, appendix C, that refer to no earlier block.
const EXAMPLES: readonly {
  readonly name: string;
  readonly hex: string;
  readonly pairs: readonly string[];
}[] = [
  {
    name: 'C.2.1, with an index',
    hex: '400a637573746f6d2d6b65790d637573746f6d2d686561646572',
    pairs: ['custom-key', 'custom-header'],
  },
  { name: 'C.2.2, without an index', hex: '040c2f73616d706c652f70617468', pairs: [':path', '/sample/path'] },
  { name: 'C.2.3, never indexed', hex: '100870617373776f726406736563726574', pairs: ['password', 'secret'] },
  { name: 'C.2.4, from the table', hex: '82', pairs: [':method', 'GET'] },
  {
    name: "C.4.1, in Huffman's code",
    hex: '828684418cf1e3c2e5f23a6ba0ab90f4ff',
    pairs: [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
  },
  {
    name: 'C.6.1, a response',
    hex:
      '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff' +
      '6e919d29ad171863c78f0b97c8e9ae82ae43d3',
    pairs: [
      ':status',
      '302',
      'cache-control',
      'private',
      'date',
      'Mon, 21 Oct 2013 20:13:21 GMT',
      'location',
      'https://www.example.com',
    ],
  },
  { name: 'a table of size 0 first', hex: '2088', pairs: [':status', '200'] },
  { name: 'nothing', hex: '', pairs: [] },
];

for (const { name, hex, pairs } of EXAMPLES) {
  test(`a block is decoded: ${name}`, () => {
    assert.deepEqual(decoded(hex), pairs);
  });

  test(`a part of a block is its first headers or an error: ${name}`, () => {
    for (let end = 0; end < hex.length; end += 2) {
      try {
        const part = decoded(hex.slice(0, end)) ?? [];
        assert.deepEqual(part, pairs.slice(0, part.length));
      } catch (error) {
        assert.ok(isCompressionError(error));
      }
    }
  });
}

for (const [name, hex] of [
  ['index 0', '80'],
  ['an index behind the table', 'be'],
  ['a name behind the table', '7e0161'],
  ['a number without end', 'ffffffffffff'],
  ['a number that is cut off', 'ff'],
  ['a string that is cut off', '00056162'],
  ['a table between headers', '8820'],
  ['a large table', '3fe21f'],
  ['padding of zeros', '008118'],
  ['padding of a byte', '00821fff'],
  ['the end of strings inside a string', '0085ffffffffff'],
] as const) {
  test(`a block is refused: ${name}`, () => {
    assert.throws(() => decoded(hex), isCompressionError);
  });
}

test('a list above the limits is not decoded', () => {
  assert.equal(decoded('88'.repeat(10))?.length, 20);
  assert.equal(decoded('88'.repeat(11)), undefined);
  const oneValue = `000161${Buffer.from([0x7f, 100 - 27]).toString('hex')}${'62'.repeat(200)}`;
  assert.equal(decoded(oneValue, { ...LIMITS, maxListBytes: 233 })?.length, 2);
  assert.equal(decoded(oneValue, { ...LIMITS, maxListBytes: 232 }), undefined);
});
