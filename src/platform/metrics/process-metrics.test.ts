// Own process: it measures memory and CPU time

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '#testkit/until';
import { ProcessMetrics } from './process-metrics.ts';

async function readingOf(metrics: ProcessMetrics): Promise<(name: string) => number> {
  const text = await metrics.render('text');
  return (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

test('the numbers of the process are those of the kernel', async () => {
  const metrics = new ProcessMetrics();
  const before = await readingOf(metrics);
  const files = await Promise.all(Array.from({ length: 200 }, () => open('/dev/null')));

  const value = await readingOf(metrics);
  for (const file of files) await file.close();

  const more = value('process_open_fds') - before('process_open_fds');
  assert.ok(Math.abs(more - 200) < 100, `${more} more`); // other tests of this process open some too
  const status = readFileSync('/proc/self/status', 'utf8');
  for (const [name, field] of [
    ['resident_memory', 'VmRSS'],
    ['virtual_memory', 'VmSize'],
    ['heap', 'VmData'],
  ]) {
    const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status) ?? [];
    const ratio = value(`process_${name}_bytes`) / (Number(kilobytes) * 1024);
    assert.ok(ratio > 0.8 && ratio < 1.25, `${name}: ${ratio}`);
  }
  assert.ok(value('process_max_fds') >= value('process_open_fds'));
  const startedAt = value('process_start_time_seconds') * 1000;
  assert.ok(Math.abs(startedAt - (Date.now() - process.uptime() * 1000)) < 1000, `${startedAt}`);
});

test('processor time and delays of the event loop grow with work', async () => {
  const metrics = new ProcessMetrics();
  const before = await readingOf(metrics);
  await delay(60); // the first sample after a reading is the start of the next

  const startedAt = process.cpuUsage();
  const spentMs = (): number => process.cpuUsage(startedAt).user / 1000;
  while (spentMs() < 100);
  await delay(60); // several samples of the delay
  const after = await readingOf(metrics);

  const used = (reading: (name: string) => number): number => reading('process_cpu_seconds_total');
  assert.ok(used(after) - used(before) > 0.05, `${used(after) - used(before)} s`);
  const parts = after('process_cpu_user_seconds_total') + after('process_cpu_system_seconds_total');
  assert.ok(Math.abs(parts - used(after)) < 1e-6);
  assert.ok(after('nodejs_eventloop_lag_max_seconds') > 0.05);
  assert.ok(after('nodejs_eventloop_lag_max_seconds') >= after('nodejs_eventloop_lag_p50_seconds'));
});

test('collections are counted by kind', async () => {
  const metrics = new ProcessMetrics();
  for (let round = 0; round < 50; round++) Array.from({ length: 100_000 }, (_, index) => ({ index }));

  // Node reports them some time later.
  const isCounted = async (): Promise<boolean> =>
    /^nodejs_gc_duration_seconds_count\{kind="minor"\} [1-9]/m.test(await metrics.render('text'));
  await until(isCounted);
});
