import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { RemoteHealth } from './node-health.ts';
import { RemoteElection } from './remote-election.ts';

// Only the identity of a node matters here.
const nodes = ['a', 'b'].map((storage) => ({ storage })) as GitalyNode[];
const [a, b] = nodes;

function election(options: { elected: GitalyNode | undefined; lost?: GitalyNode }): RemoteElection {
  const health = {
    isHealthy: (node: GitalyNode) => node === b,
    isLost: (node: GitalyNode) => node === options.lost,
  };
  // All that an election uses of it.
  return new RemoteElection({
    nodes,
    choice: { find: async () => options.elected },
    health: health as RemoteHealth,
  });
}

test('the nodes of a worker are as healthy as its supervisor finds them', () => {
  const { healthy, nodes: all } = election({ elected: a });

  assert.deepEqual([healthy, all], [[b], nodes]);
});

test('a worker uses the primary that was elected, unless that is lost', async () => {
  assert.equal(await election({ elected: a }).primary(), a);
  assert.equal(await election({ elected: a, ...(b && { lost: b }) }).primary(), a);
  const unhealthy = { message: 'primary gitaly is not healthy' };
  for (const none of [{ elected: undefined }, { elected: a, ...(a && { lost: a }) }])
    await assert.rejects(election(none).primary(), unhealthy);
});
