import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import { quote } from './quote.ts';

// Expected values: fmt.Sprintf("%q", …) of Go 1.22.
const CASES: readonly (readonly [string | Uint8Array, string])[] = [
  ['', '""'],
  ['plain words', '"plain words"'],
  ['a"b\\c', String.raw`"a\"b\\c"`],
  ['\u0000\u0001\u001b\u007f', String.raw`"\x00\x01\x1b\x7f"`],
  ['\u0007\b\t\n\u000b\f\r', String.raw`"\a\b\t\n\v\f\r"`],
  ['über € 🙂', '"über € 🙂"'],
  ['\u00a0\u200b\u2028\ufeff', String.raw`"\u00a0\u200b\u2028\ufeff"`],
  ['\u{e0001}', String.raw`"\U000e0001"`],
  ['\ufffd', '"\ufffd"'],
  [Buffer.from([0xff, 0x61, 0xc3]), String.raw`"\xffa\xc3"`],
  [Buffer.from([0xed, 0xa0, 0x80]), String.raw`"\xed\xa0\x80"`],
  [Buffer.from([0xc0, 0x80]), String.raw`"\xc0\x80"`],
];

for (const [text, expected] of CASES) {
  test(`quote writes ${expected}`, () => {
    assert.equal(quote(text), expected);
  });
}

// A path of a mebibyte, which a client sent, blocked the event loop for half a second.
test('long text is quoted in runs', async () => {
  const text = 'a/'.repeat(1 << 19);
  await assertCpuBelow(100, () => assert.equal(quote(text), `"${text}"`));
});
