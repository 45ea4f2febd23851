import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatGoDuration, parseDurationMs } from './duration.ts';

for (const [text, milliseconds, printed] of [
  ['0', 0, '0s'],
  ['0s', 0, '0s'],
  ['300ms', 300, '300ms'],
  ['1m', 60_000, '1m0s'],
  ['1h15m', 4_500_000, '1h15m0s'],
  ['1.5s', 1500, '1.5s'],
  ['-1s', -1000, '-1s'],
  ['-5m', -300_000, '-5m0s'],
  ['+.5h', 1_800_000, '30m0s'],
  ['50h', 180_000_000, '50h0m0s'],
  ['24h0m1s', 86_401_000, '24h0m1s'],
  ['10us', 0.01, '10µs'],
  ['10µs', 0.01, '10µs'],
  ['7ns', 0.000007, '7ns'],
] as const) {
  test(`the duration ${text} is ${milliseconds} ms and prints as ${printed}`, () => {
    assert.equal(parseDurationMs(text), milliseconds);
    assert.equal(formatGoDuration(milliseconds), printed);
  });
}

for (const [text, message] of [
  ['abc', 'time: invalid duration "abc"'],
  ['', 'time: invalid duration ""'],
  ['-', 'time: invalid duration "-"'],
  ['5', 'time: missing unit in duration "5"'],
  ['5 s', 'time: unknown unit " s" in duration "5 s"'],
  ['1h5x', 'time: unknown unit "x" in duration "1h5x"'],
  ['9999999999h', 'time: invalid duration "9999999999h"'],
] as const) {
  test(`the duration ${JSON.stringify(text)} is refused with Go's text`, () => {
    assert.throws(() => parseDurationMs(text), { message });
  });
}
