import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { lineLogger } from '#testkit/line-logger';
import { checkedNode } from '#testkit/praefect/started-backend';
import { ErrorThresholds } from './error-thresholds.ts';
import { NodeChecks } from './node-checks.ts';

const late = new GitalyError('DEADLINE_EXCEEDED', 'late');
const refused = new GitalyError('UNAVAILABLE', 'refused');

function start({ thresholds }: { thresholds?: ErrorThresholds } = {}) {
  const [a, b] = [checkedNode('a'), checkedNode('b')];
  const nodes = [a.node, b.node];
  const { lines: log, logger } = lineLogger();
  const observed: { storage: string; isHealthy: boolean; seconds: number }[] = [];
  const observer = {
    checked: (storage: string, result: { isHealthy: boolean; seconds: number }) =>
      void observed.push({ storage, ...result }),
  };
  return { a, b, log, observed, checks: new NodeChecks({ nodes, logger, observer, thresholds }) };
}

async function runTimes(checks: NodeChecks, count: number): Promise<void> {
  for (let run = 0; run < count; run++) await checks.run();
}

// Born failing: after one late response a node did not take part in writes for nine seconds, and
// writes were acknowledged with the primary alone.
test('checks follow each other fast until a node is healthy again, or certainly not', async () => {
  const { a, checks } = start();
  const results: unknown[] = [];
  await runTimes(checks, 3);
  for (const next of [
    undefined,
    late,
    late,
    late,
    undefined,
    undefined,
    undefined,
    undefined,
    late,
    undefined,
  ]) {
    a.failure = next;
    await checks.run();
    results.push([checks.isHealthy(a.node), checks.isUrgent]);
  }

  assert.deepEqual(results, [
    [true, false],
    [false, true],
    [false, false],
    [false, false],
    [false, true],
    [false, true],
    [true, false],
    [true, false],
    [false, true],
    [false, true],
  ]);
});

test('nodes are unhealthy and do not serve before the first check, and healthy after three', async () => {
  const { a, b, checks } = start();
  b.failure = late;
  assert.deepEqual([checks.isHealthy(a.node), checks.isServing(a.node), checks.healthy], [false, false, []]);

  assert.deepEqual(await checks.run(), [a.node]);
  assert.deepEqual([checks.isServing(a.node), checks.isServing(b.node)], [true, false]);
  await checks.run();
  assert.deepEqual(checks.healthy, []);
  await checks.run();

  assert.deepEqual(checks.healthy, [a.node]);
});

test('a node that was lost is unhealthy until its next good check', async () => {
  const { a, b, checks } = start();
  await runTimes(checks, 3);

  checks.lost(a.node);
  assert.deepEqual([checks.isLost(a.node), checks.isLost(b.node), checks.healthy], [true, false, [b.node]]);

  a.failure = late;
  await checks.run();
  assert.equal(checks.isLost(a.node), true);
  a.failure = undefined;
  await checks.run();
  assert.equal(checks.isLost(a.node), false);
  await runTimes(checks, 2);
  assert.deepEqual(checks.healthy, [a.node, b.node]);
});

test('a node without a server is gone after two checks, one that is late is not', async () => {
  const { a, b, checks } = start();
  [a.failure, b.failure] = [refused, late];
  await runTimes(checks, 3);
  assert.equal(checks.isUrgent, false);
  assert.deepEqual(checks.gone, [a.node]);
});

test('checks are observed, and logged when they fail', async () => {
  const { a, log, observed, checks } = start();
  a.failure = late;
  const before = performance.now();

  await checks.run();

  const elapsed = (performance.now() - before) / 1000;
  assert.deepEqual(
    observed.map(({ isHealthy, storage }) => [storage, isHealthy]),
    [
      ['a', false],
      ['b', true],
    ],
  );
  for (const { seconds } of observed) assert.ok(seconds >= 0 && seconds <= elapsed, `${seconds} s`);
  assert.deepEqual(
    log.map(({ time: _, pid: _pid, ...fields }) => fields),
    [
      {
        ...{ level: 'error', msg: 'error when pinging healthcheck', error: 'late' },
        ...{ gitaly_storage: 'a', gitaly_address: 'tcp://a:8075' },
      },
    ],
  );
});

test('a node with too many failed calls is not called, and neither serves nor is gone', async () => {
  const thresholds = new ErrorThresholds({ windowMs: 1000, reads: 1, writes: 1 }, () => 0);
  const { a, b, checks, log } = start({ thresholds });
  thresholds.count(a.node, 'mutator');

  assert.deepEqual(await checks.run(), [b.node]);
  await checks.run();

  assert.deepEqual([a.checks, b.checks, checks.gone], [0, 2, []]);
  assert.deepEqual(
    log.map(({ error }) => error),
    Array.from({ length: 2 }, () => 'write error threshold reached for storage "a"'),
  );
});
