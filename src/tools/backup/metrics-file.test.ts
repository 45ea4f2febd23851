import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { writeMetricsFile } from './metrics-file.ts';

const directory = makeScratchDirectory('metrics-file');
after(() => rmSync(directory, { recursive: true }));
const RESULT = {
  storage: 'default',
  isComplete: true,
  repositories: { done: 3, skipped: 1, failed: 0 },
  bytes: 1000,
  seconds: 2.5,
  endedMs: 1_700_000_000_000,
};

function valuesIn(path: string): Record<string, number> {
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => /^[a-z]/.test(line));
  return Object.fromEntries(
    lines.map((line) => line.split(/ (?=\S+$)/)).map(([key, value]) => [key, Number(value)]),
  );
}

test('the file has the result, and an incomplete backup keeps the time of the last good one', async () => {
  const path = join(directory, 'backup.prom');
  await writeMetricsFile(path, RESULT);
  assert.deepEqual(valuesIn(path), {
    'gitaly_ts_backup_last_success_timestamp_seconds{storage="default"}': 1_700_000_000,
    'gitaly_ts_backup_last_run_timestamp_seconds{storage="default"}': 1_700_000_000,
    'gitaly_ts_backup_last_run_seconds{storage="default"}': 2.5,
    'gitaly_ts_backup_last_run_bytes{storage="default"}': 1000,
    'gitaly_ts_backup_last_run_repositories{outcome="done",storage="default"}': 3,
    'gitaly_ts_backup_last_run_repositories{outcome="skipped",storage="default"}': 1,
    'gitaly_ts_backup_last_run_repositories{outcome="failed",storage="default"}': 0,
  });

  const later = { ...RESULT, isComplete: false, endedMs: 1_700_086_400_000 };
  await writeMetricsFile(path, { ...later, repositories: { done: 2, skipped: 1, failed: 1 } });

  const values = valuesIn(path);
  assert.equal(values['gitaly_ts_backup_last_success_timestamp_seconds{storage="default"}'], 1_700_000_000);
  assert.equal(values['gitaly_ts_backup_last_run_timestamp_seconds{storage="default"}'], 1_700_086_400);
  assert.equal(values['gitaly_ts_backup_last_run_repositories{outcome="failed",storage="default"}'], 1);
  assert.deepEqual(readdirSync(directory), ['backup.prom']);
});

test('without an earlier complete backup there is no time of one', async () => {
  for (const [name, before] of [
    ['none.prom', undefined],
    ['other.prom', 'gitaly_ts_backup_last_success_timestamp_seconds{storage="other"} 5\n'],
    ['broken.prom', 'gitaly_ts_backup_last_success_timestamp_seconds{storage="default"} x\n'],
  ] as const) {
    const path = join(directory, name);
    if (before !== undefined) writeFileSync(path, before);

    await writeMetricsFile(path, { ...RESULT, isComplete: false });

    assert.equal(
      Object.keys(valuesIn(path)).some((key) => key.includes('last_success')),
      false,
      name,
    );
  }
});
