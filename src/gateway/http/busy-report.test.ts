import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busyReport } from './busy-report.ts';

test('a fetch is refused with one ERR packet', () => {
  const report = busyReport('git-upload-pack').toString('latin1');

  assert.match(report, /^[0-9a-f]{4}ERR .* Try again later\.\n$/);
  assert.equal(Number.parseInt(report.slice(0, 4), 16), report.length);
});

test('a push is refused with a report on band 1 and words on band 2', () => {
  const report = busyReport('git-receive-pack').toString('latin1');

  // biome-ignore lint/suspicious/noControlCharactersInRegex: the bands are control characters
  assert.match(report, /^[0-9a-f]{4}\x02The Git server has .*\n[0-9a-f]{4}\x01001aunpack server is busy\n00000000$/);
});
