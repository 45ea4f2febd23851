import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { lineLogger } from '#testkit/line-logger';
import { coordinatedCall, readyNode, sentMessages } from '#testkit/praefect/handlers';
import { replaceMethod } from '#testkit/replace-method';
import { until } from '#testkit/until';
import { ObjectPoolService } from '#wire/gen/objectpool_pb';
import { OperationService } from '#wire/gen/operations_pb';
import { RefService } from '#wire/gen/ref_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { MemoryWriteLocks } from '../transactions/memory-write-locks.ts';
import { Transactions } from '../transactions/transactions.ts';
import type { CoordinatedCallOptions } from './call.ts';
import { planWrite } from './plan-write.ts';
import type { EndedWrite } from './write-finalizer.ts';
import { WriteOrder } from './write-order.ts';

const repository = { storageName: 'default', relativePath: 'a.git' };
const key = { virtualStorage: 'default', relativePath: 'a.git' };
const { deleteRefs, updateReferences } = RefService.method;
const { createFork, createRepository, replicateRepository, restoreRepository, writeRef } =
  RepositoryService.method;
const { signal } = new AbortController();
const [one, two, three] = [readyNode('one'), readyNode('two'), readyNode('three')];
const ROUTE = {
  ...{ repositoryId: 7, isAssigned: true, replicaPath: '@cluster/a', additionalReplicaPath: undefined },
  primary: one,
  secondaries: [two, three],
  replicationTargets: ['four'],
};

interface Change {
  readonly route?: object;
  readonly exists?: boolean;
  readonly routeFails?: Error;
}

/** Parts of a Praefect in memory, with a router that returns one route. */
function start({ exists = false, route = {}, routeFails }: Change = {}) {
  const { lines, logger } = lineLogger();
  const routed: unknown[][] = [];
  const events: string[] = [];
  const records: EndedWrite[] = [];
  const voters: unknown[] = [];
  const find =
    (kind: string) =>
    async (...args: unknown[]) => {
      routed.push([kind, ...args]);
      if (routeFails !== undefined) throw routeFails;
      return { ...ROUTE, ...route };
    };
  const observer = { counted: () => {}, voted: () => {}, finished: () => {} };
  const transactions = new Transactions(logger, observer);
  const order = new WriteOrder({
    isOn: true,
    ownLocks: new MemoryWriteLocks(),
    sharedLocks: undefined,
    logger,
  });
  const options = {
    ...{ logger, transactions, order },
    unrecorded: { whenRecorded: (_: unknown, run: () => unknown) => run() },
    router: { mutator: find('mutator'), creation: find('creation'), exists: async () => exists },
    reachable: { route: async ({ find: each }: { find: () => Promise<unknown> }) => await each() },
    pauses: { write: async () => ({ [Symbol.dispose]: () => void events.push('pause ended') }) },
    metrics: { transactions: { countVoters: (...args: unknown[]) => void voters.push(args) } },
    recordWrite: async (write: EndedWrite) => {
      await turn();
      events.push('recorded');
      records.push(write);
    },
  } as unknown as CoordinatedCallOptions; // what plans of writes use
  return { options, lines, routed, events, records, voters, transactions, order };
}

const headerOf = ({ metadata }: { readonly metadata: { get(name: string): string | undefined } }): unknown =>
  JSON.parse(
    Buffer.from(metadata.get('gitaly-reference-transaction') ?? 'null', 'base64').toString() || 'null',
  );

test('a write goes to all up-to-date nodes, which vote', async () => {
  const { options, routed, voters } = start();
  const { call, fields } = coordinatedCall(deleteRefs, { repository, refs: [Buffer.from('refs/x')] });

  const { primary, secondaries } = await planWrite(options, call);

  assert.deepEqual(routed, [['mutator', key, undefined]]);
  assert.deepEqual(
    [primary, ...secondaries].map(({ node }) => node),
    [one, two, three],
  );
  const names = sentMessages(deleteRefs.input, [primary, ...secondaries]).map(
    (message) => message.repository,
  );
  assert.deepEqual(
    names.map((each) => [each?.storageName, each?.relativePath]),
    ['one', 'two', 'three'].map((storage) => [storage, '@cluster/a']),
  );
  assert.deepEqual(headerOf(primary), { id: 1, node: 'one', primary: true, vote_stream: true });
  assert.deepEqual(secondaries.map(headerOf), [
    { id: 1, node: 'two', primary: false, vote_stream: true },
    { id: 1, node: 'three', primary: false, vote_stream: true },
  ]);
  assert.equal(secondaries[0]?.metadata.get('virtual_storage'), 'default');
  assert.deepEqual(voters, [['default', 3]]);
  assert.partialDeepStrictEqual(fields.route, {
    ...{ repository_id: 7, replica_path: '@cluster/a', primary: 'one', secondaries: ['two', 'three'] },
    replication_targets: ['four'],
  });
});

test('the log has the time that a write has waited', async () => {
  const started = performance.now();
  const { options } = start();
  const { pauses } = options;
  const write: typeof pauses.write = async (...args) => {
    const asked = performance.now();
    await until(() => performance.now() - asked > 20);
    return await pauses.write(...args);
  };
  const { call, fields } = coordinatedCall(deleteRefs, { repository });

  await planWrite({ ...options, pauses: { write } }, call);

  const waited = Number(fields['cluster.wait_ms']);
  assert.ok(waited > 0 && waited <= performance.now() - started + 1, `${waited} ms`);
});

test('the log has the time that the record of a write took, and no times of nothing', async (context) => {
  let nowMs = 0;
  replaceMethod(context, performance, 'now', () => nowMs);
  const { options } = start();
  const { call, fields } = coordinatedCall(deleteRefs, { repository });
  const record = (ms: number) => async () => {
    nowMs += ms;
  };

  for (const ms of [0.4, 0.5, 7]) {
    await (await planWrite({ ...options, recordWrite: record(ms) }, call)).finish();
    const { 'cluster.record_ms': recordMs } = fields;
    assert.equal(recordMs, ms < 0.5 ? undefined : Math.round(ms));
  }
  assert.equal('cluster.wait_ms' in fields, false);
});

test('all nodes get the same time for a change that would take its own', async () => {
  const { options } = start();
  const { userCreateTag } = OperationService.method;
  const { call } = coordinatedCall(userCreateTag, { repository });

  const { primary, secondaries } = await planWrite(options, call);

  const [first, ...others] = sentMessages(userCreateTag.input, [primary, ...secondaries]).map(
    ({ timestamp }) => timestamp?.seconds,
  );
  assert.ok(first !== undefined && first > 0n);
  assert.deepEqual(others, [first, first]);
});

test('nodes of ours are told to wait before they lock many references', async () => {
  const { options } = start();

  const { primary } = await planWrite(options, coordinatedCall(updateReferences, { repository }).call);

  assert.partialDeepStrictEqual(headerOf(primary), { ordered: true, vote_stream: true });
});

test('without votes a write has no transaction', async () => {
  const { options, records, voters } = start();
  const { call } = coordinatedCall(ObjectPoolService.method.deleteObjectPool, { objectPool: { repository } });

  const plan = await planWrite(options, call);
  await plan.finish();

  assert.equal(plan.primary.metadata.has('gitaly-reference-transaction'), false);
  assert.equal(plan.isBegun, undefined);
  assert.deepEqual(voters, []);
  assert.equal(plan.secondaries[0]?.onError(new Error('failed')), undefined);
  assert.partialDeepStrictEqual(records[0], { transaction: undefined, change: 'delete' });
});

for (const [name, method, exists, expected] of [
  ['CreateRepository', createRepository, true, 'creation'],
  ['a copy of a new repository', replicateRepository, false, 'creation'],
  ['a copy onto a repository', replicateRepository, true, 'mutator'],
  ['a restoration of a new repository', restoreRepository, false, 'creation'],
  ['a restoration onto a repository', restoreRepository, true, 'mutator'],
] as const)
  test(`${name} is routed as a ${expected}, and recorded as such`, async () => {
    const { options, records, routed } = start({ exists });

    await (await planWrite(options, coordinatedCall(method, { repository }).call)).finish();

    assert.equal(routed[0]?.[0], expected);
    assert.equal(records[0]?.change, expected === 'creation' ? 'create' : 'update');
  });

test('a fork is stored with its source, whose replica path the nodes get', async () => {
  const { options, routed } = start({ route: { additionalReplicaPath: '@cluster/b' } });
  const sourceRepository = { storageName: 'default', relativePath: 'b.git' };

  const { primary, secondaries } = await planWrite(
    options,
    coordinatedCall(createFork, { repository, sourceRepository }).call,
  );

  assert.deepEqual(routed, [['creation', key, 'b.git']]);
  for (const each of [primary, ...secondaries])
    assert.equal(each.metadata.get('gitaly-partitioning-hint'), '@cluster/b');
  const alone = start();
  const hinted = coordinatedCall(createRepository, { repository }, { 'gitaly-partitioning-hint': 'c.git' });
  const plan = await planWrite(alone.options, hinted.call);
  assert.deepEqual(alone.routed, [['creation', key, 'c.git']]);
  assert.equal(plan.primary.metadata.get('gitaly-partitioning-hint'), 'c.git', 'it has no replica');
});

test('a pool is created with its origin, which is rewritten, too', async () => {
  const { options, routed } = start({ route: { additionalReplicaPath: '@cluster/b' } });
  const origin = { storageName: 'default', relativePath: 'b.git' };
  const method = ObjectPoolService.method.createObjectPool;

  const { primary } = await planWrite(
    options,
    coordinatedCall(method, { objectPool: { repository }, origin }).call,
  );

  assert.deepEqual(routed, [['creation', key, 'b.git']]);
  const [message] = sentMessages(method.input, [primary]);
  assert.deepEqual([message?.origin?.storageName, message?.origin?.relativePath], ['one', '@cluster/b']);
  assert.equal(primary.metadata.has('gitaly-partitioning-hint'), false);
});

test('a write without a route ends its waits, and names its place', async () => {
  const { events, options, order } = start({ routeFails: new Error('gone') });

  await assert.rejects(planWrite(options, coordinatedCall(writeRef, { repository }).call), {
    message: 'mutator call: route repository mutator: gone',
  });
  await assert.rejects(planWrite(options, coordinatedCall(createRepository, { repository }).call), {
    message: 'route repository creation: gone',
  });

  assert.deepEqual(events, ['pause ended', 'pause ended']);
  const { call } = coordinatedCall(writeRef, { repository });
  (await order.enter(call, signal))[Symbol.dispose]();
});

test('the next write goes on when the nodes have ended, a pause when the write is recorded', async () => {
  const { events, lines, options, order, records, transactions } = start();
  const { call } = coordinatedCall(writeRef, { repository });
  const { finish, primary } = await planWrite(options, call);
  const next = order.enter(call, signal).then(() => events.push('next'));
  await turn();
  assert.equal(events.length, 0);
  const error = new Error('failed');
  assert.equal(primary.onError(error), error);

  await finish();
  await next;

  assert.deepEqual(events.toSorted(), ['next', 'pause ended', 'recorded']);
  assert.ok(events.indexOf('recorded') < events.indexOf('pause ended'));
  assert.partialDeepStrictEqual(records[0], { change: 'update', method: call.method, repository: key });
  assert.deepEqual(records[0]?.errors, new Map([['one', error]]));
  assert.equal(records[0]?.transaction?.id, 1n);
  const vote = { node: 'one', hash: 'x', phase: 'prepared', signal } as const;
  await assert.rejects(transactions.vote(1n, vote), { message: 'transaction not found: 1' });
  assert.partialDeepStrictEqual(lines[0], {
    msg: 'transaction completed',
    component: 'praefect.StreamServerInterceptor',
    'grpc.method': 'WriteRef',
    correlation_id: 'id',
  });
});

test('a write locks its reference only, if all its nodes check what they lock', async () => {
  const { options, transactions } = start();
  const oid = Buffer.from('1'.repeat(40));
  const write = async (name: string) => {
    const { call } = coordinatedCall(writeRef, { repository, ref: Buffer.from(name), revision: oid });
    return await planWrite(options, call);
  };
  const vote = async (id: bigint, unchecked?: string): Promise<void> => {
    const votes = ['one', 'two', 'three'].map((node) =>
      transactions.vote(id, { node, hash: 'x', phase: 'prepared', signal, checksLocks: node !== unchecked }),
    );
    await Promise.all(votes);
  };
  const first = await write('refs/heads/a');
  assert.partialDeepStrictEqual(headerOf(first.primary), { id: 1, vote_stream: true });
  assert.ok(!Object.hasOwn(Object(headerOf(first.primary)), 'entered'), 'the nodes have not voted yet');
  const waiting = write('refs/heads/b');
  await vote(1n);
  await first.finish();

  const [second, third] = [await waiting, await write('refs/heads/c')];
  for (const { primary, secondaries } of [second, third])
    for (const each of [primary, ...secondaries])
      assert.partialDeepStrictEqual(headerOf(each), { entered: true });
  await vote(3n, 'two');
  await second.finish();
  await third.finish();

  const { primary } = await write('refs/heads/a');
  assert.ok(!Object.hasOwn(Object(headerOf(primary)), 'entered'), 'a node was replaced by one of Gitaly');
});

test('a secondary that fails is logged, and the others decide without it', async () => {
  const { lines, options, transactions } = start();
  const { secondaries } = await planWrite(options, coordinatedCall(deleteRefs, { repository }).call);

  for (const each of secondaries) assert.equal(each.onError(new Error('disk full')), undefined);

  assert.partialDeepStrictEqual(lines[0], {
    ...{ level: 'error', msg: 'proxying to secondary failed', error: 'disk full', storage: 'two' },
    ...{ virtual_storage: 'default', relative_path: 'a.git', 'grpc.method': 'DeleteRefs' },
  });
  // The primary has 3 of 5 votes and needs 4, which it cannot get any more.
  const voted = transactions.vote(1n, { node: 'one', hash: 'x', phase: 'prepared', signal });
  await assert.rejects(voted, { message: 'transaction did not reach quorum: got 3/4 votes for x' });
  assert.equal(secondaries[0]?.onError(new Error('again')), undefined, 'it has no vote any more');
});

test('a write is begun when its nodes have committed and the primary has not failed itself', async () => {
  const { options, transactions } = start();
  const plan = await planWrite(options, coordinatedCall(deleteRefs, { repository }).call);
  const vote = async () =>
    await Promise.all(
      ['one', 'two', 'three'].map((node) =>
        transactions.vote(1n, { node, hash: 'x', phase: 'prepared', signal }),
      ),
    );
  assert.equal(plan.isBegun?.(), false);

  await vote();

  assert.equal(plan.isBegun?.(), true);
  plan.primary.onError(new GitalyError('UNAVAILABLE', 'gone'));
  assert.equal(plan.isBegun?.(), true, 'the others complete it');
  plan.primary.onError(new GitalyError('INTERNAL', 'disk full'));
  assert.equal(plan.isBegun?.(), false);
});

for (const [code, completes] of [
  ['UNAVAILABLE', true],
  ['INTERNAL', false],
] as const)
  test(`others ${completes ? '' : 'do not '}vote alone after their primary ended with ${code}`, async () => {
    const { options, transactions } = start();
    const { primary } = await planWrite(options, coordinatedCall(deleteRefs, { repository }).call);
    const vote = (node: string, phase: 'prepared' | 'committed') =>
      transactions.vote(1n, { node, hash: phase, phase, signal });
    await Promise.all(['one', 'two', 'three'].map((node) => vote(node, 'prepared')));

    primary.onError(new GitalyError(code, 'gone'));

    const votes = ['two', 'three'].map((node) => vote(node, 'committed').then(() => 'committed'));
    const first = await Promise.race([
      Promise.all(votes),
      new Promise((resolve) => setImmediate(resolve, 'waits')),
    ]);
    assert.deepEqual(first, completes ? ['committed', 'committed'] : 'waits');
    transactions.stop(1n);
    await Promise.allSettled(votes);
  });
