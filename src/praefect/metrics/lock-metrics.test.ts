import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { lockMetrics } from './lock-metrics.ts';

const PREFIX = 'gitaly_praefect_repo_reference_write_lock';

/** Metrics of the virtual storage `default`; `series` returns those with a name and their values. */
function start(virtualStorages: readonly string[] = []) {
  const registry = new MetricsRegistry();
  const observer = lockMetrics(registry, virtualStorages);
  const series = (name: string): string[] =>
    registry
      .render('text')
      .split('\n')
      .filter((line) => line.startsWith(name))
      .map((line) => line.slice(name.length));
  return { observer, series };
}

test('the series of a virtual storage are there before its first lock', () => {
  const { series } = start(['default']);
  assert.deepEqual(series(`${PREFIX}_acquired_total`), [
    '{result="new_acquisition",virtual_storage="default"} 0',
    '{result="contended",virtual_storage="default"} 0',
    '{result="error",virtual_storage="default"} 0',
  ]);
  assert.deepEqual(series(`${PREFIX}s_held`), ['{virtual_storage="default"} 0']);
  assert.deepEqual(series(`${PREFIX}_hold_duration_seconds_count`), ['{virtual_storage="default"} 0']);
  assert.deepEqual(series(`${PREFIX}_operation_duration_seconds_count`), [
    '{operation="trylock",virtual_storage="default"} 0',
    '{operation="unlock",virtual_storage="default"} 0',
    '{operation="renew",virtual_storage="default"} 0',
  ]);
});

test('locks are counted while they are held, and measured in seconds at their end', (context) => {
  let nowMs = 1000;
  context.mock.method(performance, 'now', () => nowMs);
  const { observer, series } = start();
  const ends = [observer.held('default'), observer.held('default')];
  assert.deepEqual(series(`${PREFIX}s_held`), ['{virtual_storage="default"} 2']);

  nowMs = 3500;
  ends[0]?.();

  assert.deepEqual(series(`${PREFIX}s_held`), ['{virtual_storage="default"} 1']);
  assert.deepEqual(series(`${PREFIX}_hold_duration_seconds_sum`), ['{virtual_storage="default"} 2.5']);
  assert.deepEqual(series(`${PREFIX}_hold_duration_seconds_count`), ['{virtual_storage="default"} 1']);
});

test('operations of the database are measured, also those that fail', async (context) => {
  let nowMs = 1000;
  context.mock.method(performance, 'now', () => nowMs);
  const { observer, series } = start();
  const result = await observer.timed('default', 'trylock', async () => {
    await immediate();
    nowMs += 500;
    return 'result';
  });
  assert.equal(result, 'result');
  const failing = observer.timed('default', 'renew', async () => {
    nowMs += 250;
    throw new Error('gone');
  });
  await assert.rejects(failing, { message: 'gone' });

  assert.deepEqual(series(`${PREFIX}_operation_duration_seconds_sum`), [
    '{operation="trylock",virtual_storage="default"} 0.5',
    '{operation="renew",virtual_storage="default"} 0.25',
  ]);
});

test('attempts are counted by their result, and connections for notifications by their state', () => {
  const { observer, series } = start();
  observer.tried('default', 'contended');
  observer.tried('default', 'contended');
  observer.listener('connected');
  assert.deepEqual(series(`${PREFIX}_acquired_total`), ['{result="contended",virtual_storage="default"} 2']);
  assert.deepEqual(series('gitaly_praefect_lock_release_listener_reconnects_total'), [
    '{state="connected"} 1',
  ]);
});

test('durations have the buckets of the default of Go', () => {
  const { series } = start(['default']);
  for (const family of ['hold', 'operation']) {
    const buckets = series(`${PREFIX}_${family}_duration_seconds_bucket`).join();
    const bounds = new Set(Array.from(buckets.matchAll(/le="([^"]+)"/g), ([, bound]) => bound));
    const expected = '0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf';
    assert.equal([...bounds].join(' '), expected);
  }
});
