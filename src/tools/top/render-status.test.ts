import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CALL_STATUS, IDLE_STATUS } from '#testkit/values/idle-status';
import { ageText, renderStatus } from './render-status.ts';

test('an idle server is a summary without tables', () => {
  assert.equal(
    renderStatus(IDLE_STATUS),
    'gitaly 1.0.0, git 2.53.0, pid 7, up 1h02m, 1.3 s CPU, 100 MiB, 2026-01-02T03:04:05.000Z\n' +
      '0 calls, 0 wait for a limit, 0 run git, 0 wait for git; 0 processes with 0ms CPU\n',
  );
});

test('counters that are declared to be shown have a table, hits of caches do not', () => {
  const counters = [
    { title: 'Fetches', kind: 'counter', values: { 'kind="shared"': 5 } },
    { title: 'Packs', kind: 'cache', values: { 'result="hit"': 3 } },
  ] as const;

  const text = renderStatus({ ...IDLE_STATUS, counters });

  assert.match(text, /^5 +Fetches +kind="shared" *$/m);
  assert.doesNotMatch(text, /Packs/);
});

test('control characters of a client do not reach the terminal', () => {
  const call = { ...CALL_STATUS, repository: 'a\x1b[2J\n.git', user: 'u\x9b' };

  const text = renderStatus({ ...IDLE_STATUS, calls: [call] });

  // biome-ignore lint/suspicious/noControlCharactersInRegex: the test is about them
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  assert.match(text, /s:a\?\[2J\?\.git +u\? /);
});

for (const [ms, text] of [
  [0, '0ms'],
  [999, '999ms'],
  [1000, '1.0s'],
  [59_900, '59.9s'],
  [60_000, '1m00s'],
  [3_599_000, '59m59s'],
  [3_600_000, '1h00m'],
  [90_061_000, '25h01m'],
] as const) {
  test(`${ms} ms are ${text}`, () => {
    assert.equal(ageText(ms), text);
  });
}
