import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeHuffman } from './huffman.ts';

// Examples of RFC 7541, appendix C.4 and C.6.
for (const [encoded, text] of [
  ['f1e3c2e5f23a6ba0ab90f4ff', 'www.example.com'],
  ['a8eb10649cbf', 'no-cache'],
  ['25a849e95bb8e8b4bf', 'custom-value'],
  ['d07abe941054d444a8200595040b8166e082a62d1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
  [
    '94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  ],
] as const) {
  test(`${text.slice(0, 20)} is decoded`, () => {
    assert.equal(decodeHuffman(Buffer.from(encoded, 'hex')), text);
  });
}

test('a string that ends in the code of no byte, or has wrong padding, is refused', () => {
  for (const hex of ['ff'.repeat(1000), 'ffff', 'f1e3c2e5f23a6ba0ab90f400', '00'])
    assert.equal(decodeHuffman(Buffer.from(hex, 'hex')), undefined, hex);
});
