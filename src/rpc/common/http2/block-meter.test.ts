import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockMeter } from './block-meter.ts';

type Pair = readonly [name: string, value: string];

function sizeOf(pairs: readonly Pair[]) {
  return {
    bytes: pairs.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0),
    pairs: pairs.length,
  };
}

const REQUEST: readonly Pair[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
];
const RESPONSE: readonly Pair[] = [
  [':status', '302'],
  ['cache-control', 'private'],
  ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
  ['location', 'https://www.example.com'],
];
const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';

/** A table of at most 256 bytes, as the examples of C.6 have it. */
const SMALL_TABLE = '3fe101';
const FIRST =
  '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad17' +
  '1863c78f0b97c8e9ae82ae43d3';
const THIRD =
  '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b' +
  '3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007';

for (const [name, blocks] of [
  [
    'C.4, which refer to earlier ones',
    [
      ['828684418cf1e3c2e5f23a6ba0ab90f4ff', REQUEST],
      ['828684be5886a8eb10649cbf', [...REQUEST, ['cache-control', 'no-cache']]],
      [
        '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
        [
          [':method', 'GET'],
          [':scheme', 'https'],
          [':path', '/index.html'],
          [':authority', 'www.example.com'],
          ['custom-key', 'custom-value'],
        ],
      ],
    ],
  ],
  [
    'C.6, whose table drops entries',
    [
      [`${SMALL_TABLE}${FIRST}`, RESPONSE],
      ['4883640effc1c0bf', [[':status', '307'], ...RESPONSE.slice(1)]],
      [
        THIRD,
        [
          [':status', '200'],
          ['cache-control', 'private'],
          ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
          ['location', 'https://www.example.com'],
          ['content-encoding', 'gzip'],
          ['set-cookie', COOKIE],
        ],
      ],
    ],
  ],
] as const) {
  test(`the lists of the blocks in RFC 7541, ${name}, are measured`, () => {
    const meter = new BlockMeter();
    for (const [hex, pairs] of blocks)
      assert.deepEqual(meter.measure(Buffer.from(hex, 'hex')), sizeOf(pairs), hex);
  });
}

test('a byte that stands for a long header counts as that header', () => {
  const meter = new BlockMeter();
  const field = Buffer.concat([Buffer.of(0x40, 1, 0x78, 127, 0xa1, 0x1e), Buffer.alloc(4000, 'a')]);
  assert.deepEqual(meter.measure(field), sizeOf([['x', 'a'.repeat(4000)]]));

  assert.deepEqual(meter.measure(Buffer.alloc(100, 0xbe)), { bytes: 100 * (1 + 4000 + 32), pairs: 100 });
});

for (const [name, hex] of [
  ['refers to a header that is not in the table', 'be'],
  ['refers to index 0', '80'],
  ['makes the table larger than allowed', '3fe21f'],
  ['breaks off', '4001'],
] as const) {
  test(`a block that ${name} is malformed`, () => {
    assert.throws(() => new BlockMeter().measure(Buffer.from(hex, 'hex')), { name: 'ConnectionError' });
  });
}
