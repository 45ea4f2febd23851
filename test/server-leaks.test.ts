// Own process: it measures memory and descriptors

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { heldResources } from '#testkit/measure/held-resources';
import { extent } from '#testkit/soak';
import { startGitaly } from '#testkit/start-server';

/** A suite may start a server for each of its tests, all in one process. */
const SERVERS = extent('LEAK_SERVERS', { short: 10, long: 200 });
/**
 * Growth of the engine's own caches and compiled code: 2.2 MB after 20 servers, 2.8 MB after 80. A
 * server that stays reachable keeps about 1 MB.
 */
const NOISE_BYTES = 3_000_000;
const BYTES_PER_SERVER = 20_000;

async function held() {
  return {
    ...(await heldResources()),
    children: readdirSync('/proc/self/task').flatMap((task) => childrenOf(task)).length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  };
}

function childrenOf(task: string): string[] {
  return readFileSync(`/proc/self/task/${task}/children`, 'latin1').split(' ').filter(Boolean);
}

async function useServer(): Promise<void> {
  await using gitaly = await startGitaly();
  const repository = await gitaly.createRepository({ commits: 1 });
  const { commit } = await gitaly.connection.commit.findCommit({ repository, revision: Buffer.from('main') });
  assert.ok(commit);
}

test(`${SERVERS} servers that were used and closed leave nothing in their process`, async (t) => {
  for (let i = 0; i < 3; i++) await useServer();
  const early = await held();
  for (let i = 0; i < SERVERS; i++) await useServer();
  const late = await held();

  const { heapBytes: before, ...ownedBefore } = early;
  const { heapBytes: after, ...ownedAfter } = late;
  t.diagnostic(`heap: ${before} bytes after 3 servers, ${after} after ${SERVERS} more`);
  t.diagnostic(`kept: ${JSON.stringify(ownedAfter)}`);
  assert.deepEqual(ownedAfter, ownedBefore);
  const limit = NOISE_BYTES + SERVERS * BYTES_PER_SERVER;
  assert.ok(after - before < limit, `the heap grew by ${after - before} bytes with ${SERVERS} servers`);
});
