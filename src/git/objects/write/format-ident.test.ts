import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calendarDate, isCommitDate } from './format-ident.ts';

for (const [seconds, timezone, expected] of [
  [1_604_398_077n, '+0200', 'Tue Nov 03 2020 12:07:57 +0200'],
  [-1n, '+0000', 'Wed Dec 31 1969 23:59:59 +0000'],
  [-62_135_596_800n, '+0000', 'Mon Jan 01 0001 00:00:00 +0000'],
  // Beyond the dates of JavaScript; the words are those of `date -u`.
  [9_000_000_000_000n, '+0000', 'Sat Aug 24 287168 16:00:00 +0000'],
  [4_611_686_018_427_387n, '-0030', 'Fri Apr 24 146140482 15:06:27 -0030'],
] as const)
  test(`${seconds} at ${timezone} is ${expected}`, () => {
    assert.equal(calendarDate({ seconds, timezone }), expected);
    assert.equal(isCommitDate({ seconds, timezone }), expected.includes(' 2020 '));
  });
