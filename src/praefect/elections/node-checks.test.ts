import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { createLogger } from '#platform/log/logger';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { NodeChecks } from './node-checks.ts';

const logger = createLogger({ format: 'json', level: 'error', stream: { write: () => {} } });
const late = new GitalyError('DEADLINE_EXCEEDED', 'late');

// Born failing: after one late response a node did not take part in writes for nine seconds, and
// writes were acknowledged with the primary alone.
test('checks follow each other fast until a node is healthy again, or certainly not', async () => {
  let failure: unknown;
  // All that the checks use of a node.
  const node = {
    storage: 'a',
    config: { address: 'unix:/a' },
    isServing: async (_timeoutMs: number, onFailure: (error: unknown) => void) => {
      if (failure !== undefined) onFailure(failure);
      return failure === undefined;
    },
  } as unknown as GitalyNode;
  const checks = new NodeChecks({ nodes: [node], logger, observer: { checked: () => {} } });
  const results: unknown[] = [];
  for (const next of [undefined, undefined, undefined, late, late, late, undefined, late, undefined]) {
    failure = next;
    await checks.run();
    results.push([checks.isHealthy(node), checks.isUrgent]);
  }

  assert.deepEqual(results, [
    [false, true],
    [false, true],
    [true, false],
    [false, true],
    [false, false],
    [false, false],
    [false, true],
    [false, true],
    [false, true],
  ]);
});
