import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busyReport } from './busy-report.ts';

test('a fetch is refused with one ERR packet', () => {
  const report = busyReport('git-upload-pack').toString('latin1');

  assert.match(report, /^[0-9a-f]{4}ERR .* Try again later\.\n$/);
  assert.equal(Number.parseInt(report.slice(0, 4), 16), report.length);
});

test('a push is refused with a report on band 1 and a message on band 2', () => {
  const report = busyReport('git-receive-pack').toString('latin1');

  const [progress, status] = report.split('\n', 2);
  assert.match(progress ?? '', /^[0-9a-f]{4}.The Git server is overloaded/);
  assert.equal(progress?.charCodeAt(4), 2);
  assert.match(status ?? '', /^[0-9a-f]{4}.001aunpack server is busy$/);
  assert.equal(status?.charCodeAt(4), 1);
  assert.ok(report.endsWith('\n00000000'));
});
