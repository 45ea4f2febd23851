import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { createLogger } from '#platform/log/logger';
import type { HandlerContext } from '#rpc/server/handler';
import { RefService } from '#wire/gen/ref_pb';
import { methodInfo } from '#wire/method-info';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { MemoryQueue } from '../replication/memory-queue.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { Transaction } from '../transactions/transaction.ts';
import { planVotes } from '../transactions/voters.ts';
import { type EndedWrite, type FinalizerOptions, writeFinalizer } from './write-finalizer.ts';

const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const SECONDARIES = ['b', 'c', 'd'];
const METHOD = methodInfo(RefService.method.updateReferences);
const failed = new GitalyError('INTERNAL', 'disk full');

/** A write on which four nodes have voted, and that failed on some of them afterwards. */
async function votedWrite(failures: readonly string[]): Promise<EndedWrite> {
  const { voters, threshold } = planVotes('a', SECONDARIES);
  const transaction = new Transaction(1n, voters, threshold);
  const { signal } = new AbortController();
  await Promise.all(['a', ...SECONDARIES].map((node) => transaction.vote(node, 'x', signal)));
  const nodeOf = (storage: string) => ({ storage }) as GitalyNode; // only the name matters
  return {
    change: 'update',
    method: METHOD,
    repository,
    route: {
      ...{ repositoryId: 0, isAssigned: false, replicaPath: 'x.git', additionalReplicaPath: undefined },
      primary: nodeOf('a'),
      secondaries: SECONDARIES.map(nodeOf),
      replicationTargets: ['e'],
    },
    errors: new Map(failures.map((node) => [node, failed])),
    transaction,
    // What the log line of a call needs.
    context: { signal, correlationId: 'id', method: METHOD } as HandlerContext,
  };
}

function options(): FinalizerOptions {
  const logger = createLogger({ format: 'json', level: 'error', stream: { write: () => {} } });
  return {
    ...{ store: new MemoryStore(), queue: new MemoryQueue(), logger, counted: () => {} },
    unrecorded: { add: () => {} },
  };
}

test('a write that most nodes lack after their votes is no success, and they get copies', async () => {
  const { queue, ...rest } = options();

  await assert.rejects(writeFinalizer({ queue, ...rest })(await votedWrite(['b', 'c'])), {
    code: 'UNAVAILABLE',
    message: 'the write is on 2 of 4 nodes; the others failed after their votes and get copies',
  });

  for (const target of ['b', 'c', 'e']) {
    const [job] = await queue.dequeue('default', target, 10);
    assert.equal(job?.source, 'a', target);
  }
  assert.deepEqual(await queue.dequeue('default', 'd', 10), []);
});

test('a write that one of three secondaries lacks is a success', async () => {
  const { queue, ...rest } = options();

  await writeFinalizer({ queue, ...rest })(await votedWrite(['c']));

  assert.equal((await queue.dequeue('default', 'c', 10)).length, 1);
});

test('the call does not wait for a record that takes too long, whose failure is no crash', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const pending = Promise.withResolvers<never>();
  const store = new MemoryStore();
  store.recordWrite = () => pending.promise;
  const recorded = writeFinalizer({ ...options(), store })(await votedWrite([]));
  const ending = assert.rejects(recorded, {
    code: 'DEADLINE_EXCEEDED',
    message: 'context deadline exceeded',
  });

  t.mock.timers.tick(30_000);
  await ending;
  pending.reject(new Error('the database is gone'));

  await turn(); // a rejection that nobody handles would fail the test here
});
