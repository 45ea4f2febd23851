import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCount, formatDuration, instant } from './format.ts';

for (const [ms, text] of [
  [0, '0 ms'],
  [0.4, '0 ms'],
  [999, '999 ms'],
  [999.7, '1.0 s'],
  [1000, '1.0 s'],
  [59_940, '59.9 s'],
  [59_990, '1 min'],
  [60_000, '1 min'],
  [5_399_999, '90 min'],
  [5_400_000, '2 h'],
  [172_800_000, '2 days'],
] as const)
  test(`${ms} ms are shown as ${text}`, () => {
    assert.equal(formatDuration(ms), text);
  });

test('an instant is shown in UTC, and one that no calendar has is unknown', () => {
  const shown = instant(new Date('2026-01-02T03:04:05.678Z')).toString();
  assert.equal(shown, '<time datetime="2026-01-02T03:04:05.678Z">2026-01-02 03:04 UTC</time>');
  assert.equal(instant(new Date(Number.NaN)).toString(), 'unknown');
  assert.equal(instant(new Date(8.64e15 + 1)).toString(), 'unknown');
});

test('a noun follows its number', () => {
  assert.deepEqual(
    [0, 1, 2].map((number) => formatCount(number, 'file')),
    ['0 files', '1 file', '2 files'],
  );
});
