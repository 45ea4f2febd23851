import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { until } from '#testkit/until';
import { receiveWakes, remoteWake } from './replication-wakes.ts';

test('the replicator of the supervisor is woken by the jobs of all workers', async () => {
  const woken: string[] = [];
  const family = new LinkedFamily();
  receiveWakes(family.supervisor.desk, (virtualStorage, target) => woken.push(`${virtualStorage} ${target}`));
  const [one, two] = [remoteWake(family.start().link), remoteWake(family.start().link)];

  one('default', 'gitaly-1');
  two('other', 'gitaly-2');

  await until(() => woken.length === 2);
  assert.deepEqual(woken.sort(), ['default gitaly-1', 'other gitaly-2']);
});
