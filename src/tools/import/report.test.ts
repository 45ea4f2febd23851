import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatShortBytes } from '#base/format-bytes';
import { formatSeconds } from './format-seconds.ts';
import { formatBar } from './progress-bar.ts';
import { ImportReport } from './report.ts';

const first = { location: '/srv/a', relativePath: 'a.git' };
const second = { location: 'https://ann:word@host/b', relativePath: 'b.git' };
const sources = [first, second];

function outputs(isTTY: boolean) {
  const printed = { stdout: '', stderr: '' };
  const output = (name: 'stdout' | 'stderr') => ({
    isTTY,
    columns: 70,
    write: (text: string) => {
      printed[name] += text;
    },
  });
  return { printed, stdout: output('stdout'), stderr: output('stderr') };
}

test('the bar shows count, bytes, rate and the remaining time', () => {
  const state = { total: 9, done: 3, bytes: 12 << 20, fraction: 0.25, elapsedSeconds: 4 };

  assert.equal(
    formatBar(state, 100),
    '[######------------------] 3/9 repositories  12 MiB  3.0 MiB/s  12 s left',
  );
  assert.equal(
    formatBar({ ...state, elapsedSeconds: 1 }, 100),
    '[######------------------] 3/9 repositories  12 MiB  12 MiB/s',
  );
  assert.equal(
    formatBar({ ...state, fraction: 1 }, 100),
    '[########################] 3/9 repositories  12 MiB  3.0 MiB/s',
  );
  assert.equal(formatBar(state, 30).length, 29);
});

test('amounts are short', () => {
  assert.deepEqual([0, 1023, 1536, 12 << 20, 3 * 2 ** 40].map(formatShortBytes), [
    '0 B',
    '1023 B',
    '1.5 KiB',
    '12 MiB',
    '3.0 TiB',
  ]);
  assert.deepEqual([0, 59, 125, 3723].map(formatSeconds), ['0 s', '59 s', '2:05', '1:02:03']);
});

test('on a terminal the bar follows the lines and disappears at the end', () => {
  const { printed, stdout, stderr } = outputs(true);
  {
    using report = new ImportReport({ stdout, stderr, sources, sizeOf: () => 1000 });
    report.onStart(first);
    report.onProgress(first, 500);
    report.onDone(first, { outcome: 'imported', bytes: 900, references: 3 });
  }

  assert.equal(printed.stdout, 'imported  a.git  3 references, 900 B\n');
  assert.ok(
    printed.stderr.includes(`\r\x1b[K[${'#'.repeat(12)}${'-'.repeat(12)}] 1/2 repositories  900 B`),
    printed.stderr,
  );
  assert.ok(printed.stderr.endsWith('\r\x1b[K'));
});

test('without a terminal there are only lines, without passwords', () => {
  const { printed, stdout, stderr } = outputs(false);
  {
    using report = new ImportReport({ stdout, stderr, sources, sizeOf: () => undefined });
    report.onDone(first, { outcome: 'skipped', bytes: 0, references: 3, note: 'exists already' });
    report.onFailed(second, 'why not');
  }

  assert.deepEqual(printed, {
    stdout: 'skipped   a.git  exists already\n',
    stderr: 'failed    b.git  from https://[FILTERED]@host/b: why not\n',
  });
});
