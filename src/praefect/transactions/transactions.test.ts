import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { lineLogger } from '#testkit/line-logger';
import { recordedLocks } from '#testkit/praefect/recorded-locks';
import { MemoryWriteLocks } from './memory-write-locks.ts';
import { type OrderStart, SerializedWrites } from './serialized-writes.ts';
import { type ReceivedVote, type Serialized, Transactions } from './transactions.ts';
import { planVotes } from './voters.ts';

const { signal } = new AbortController();
/** A node that names no references. */
const A = { node: 'a' };
const THREE = planVotes('a', ['b', 'c']);
const callFields = { correlation_id: 'id' };
const repository = { virtualStorage: 'default', relativePath: 'x.git' };

const voteOf = (node: string, hash = 'x', options: Partial<ReceivedVote> = {}): ReceivedVote => ({
  ...{ node, hash, phase: 'unknown', signal, callFields },
  ...options,
});

function start(worker?: number) {
  const { lines: log, logger } = lineLogger();
  const counts: [action: string, number: number | undefined][] = [];
  const seconds: number[] = [];
  const finished: number[] = [];
  const observer = {
    counted: (action: string, number?: number) => void counts.push([action, number]),
    voted: (duration: number) => void seconds.push(duration),
    finished: (count: number) => void finished.push(count),
  };
  const transactions = new Transactions(logger, observer, worker);
  const lines = (): Record<string, unknown>[] =>
    log.splice(0).map(({ time: _time, pid: _pid, ...fields }) => fields);
  return { transactions, counts, seconds, finished, lines, logger };
}

/** How votes wait for those of other transactions; `events` are those of the locks. */
function serialized(events: string[], orderStart: OrderStart, logger = start().logger): Serialized {
  const writes = new SerializedWrites(recordedLocks(events), logger);
  return { repository, writes, start: orderStart, primary: 'a' };
}

test('ids count from 1, and those of further processes are never the same', () => {
  for (const { worker, ids } of [
    { worker: undefined, ids: [1n, 2n] },
    { worker: 0, ids: [1n, 2n] },
    { worker: 3, ids: [0x300_0000_0001n, 0x300_0000_0002n] },
  ]) {
    const { transactions } = start(worker);
    assert.deepEqual([transactions.register(THREE).id, transactions.register(THREE).id], ids);
  }
});

test('votes are counted, measured and logged, as are their voters', async () => {
  const { counts, lines, seconds, transactions } = start();
  const before = performance.now();
  const { id } = transactions.register(THREE);

  await Promise.all(['a', 'b'].map((node) => transactions.vote(id, voteOf(node))));

  assert.deepEqual(counts, [
    ['registered', 3],
    ['started', undefined],
    ['started', undefined],
    ['committed', undefined],
    ['committed', undefined],
  ]);
  const elapsed = (performance.now() - before) / 1000;
  assert.equal(seconds.length, 2);
  for (const duration of seconds) assert.ok(duration > 0 && duration <= elapsed, `${duration} s`);
  const byVoter = lines().toSorted((one) => (one['transaction.voter'] === 'a' ? -1 : 1));
  assert.deepEqual(
    byVoter,
    ['a', 'b'].map((node) => ({
      level: 'info',
      msg: 'VoteTransaction: transaction committed',
      ...callFields,
      'transaction.id': 1,
      'transaction.voter': node,
      'transaction.hash': 'x',
      'transaction.phase': 'UNKNOWN_PHASE',
    })),
  );
});

for (const { end, message, run } of [
  {
    end: 'failed',
    message: 'VoteTransaction: did not reach quorum',
    run: async ({ transactions }: ReturnType<typeof start>, id: bigint) => {
      await Promise.all(['a', 'b'].map((node) => transactions.vote(id, voteOf(node))));
      await transactions.vote(id, voteOf('c', 'other'));
    },
  },
  {
    end: 'canceled',
    message: 'VoteTransaction: transaction was canceled',
    run: async ({ transactions }: ReturnType<typeof start>, id: bigint) => {
      const transaction = transactions.register(THREE);
      assert.equal(transaction.id, id + 1n);
      const voting = transactions.vote(transaction.id, voteOf('a'));
      transactions.finish(transaction);
      await voting;
    },
  },
  {
    end: 'invalid',
    message: 'VoteTransaction: failure',
    run: ({ transactions }: ReturnType<typeof start>, id: bigint) =>
      transactions.vote(id, voteOf('stranger')),
  },
])
  test(`a vote that has ${end} is counted, measured and logged as an error`, async () => {
    const running = start();
    const { id } = running.transactions.register(THREE);

    const error = await run(running, id).then(
      () => assert.fail('it may commit'),
      (reason: unknown) => reason,
    );

    assert.ok(error instanceof Error);
    assert.deepEqual(running.counts.at(-1), [end, undefined]);
    assert.equal(running.seconds.length, running.counts.filter(([action]) => action === 'started').length);
    const errors = running.lines().filter(({ level }) => level === 'error');
    assert.deepEqual(
      errors.map(({ msg, error: text, correlation_id }) => ({ msg, text, correlation_id })),
      [{ msg: message, text: error.message, ...callFields }],
    );
  });

test('stopping ends all votes without a line, and is counted each time', async () => {
  const { counts, lines, transactions } = start();
  const { id } = transactions.register(THREE);
  const voting = transactions.vote(id, voteOf('a'));

  transactions.stop(id);

  await assert.rejects(voting, { end: 'stopped' });
  assert.deepEqual(counts.slice(2), [
    ['stopped', undefined],
    ['stopped', undefined],
  ]);
  transactions.stop(id);
  assert.deepEqual(lines(), []);
});

test('the end of a transaction is logged with the nodes that committed its last vote', async () => {
  const { finished, lines, transactions } = start();
  const transaction = transactions.register(THREE);
  const { id } = transaction;
  await Promise.all(['a', 'b', 'c'].map((node) => transactions.vote(id, voteOf(node))));
  await Promise.all(['a', 'b'].map((node) => transactions.vote(id, voteOf(node, 'y'))));
  lines();

  transactions.finish(transaction, callFields);
  transactions.finish(transactions.register(planVotes('a', [])));

  const msg = 'transaction completed';
  assert.deepEqual(lines(), [
    {
      ...{ level: 'info', msg, ...callFields, 'transaction.id': 1 },
      ...{ 'transaction.committed': '2/3', 'transaction.subtransactions': 2 },
    },
    {
      ...{ level: 'info', msg, component: 'transactions.Manager', 'transaction.id': 2 },
      ...{ 'transaction.committed': '0/1', 'transaction.subtransactions': 0 },
    },
  ]);
  assert.deepEqual(finished, [2, 0]);
  assert.deepEqual(Object.fromEntries(transaction.states), { a: 'committed', b: 'committed', c: 'canceled' });
});

test('a transaction that is unknown or over has no votes, no order and no end', async () => {
  const { counts, lines, transactions } = start();
  const transaction = transactions.register(THREE);
  transactions.finish(transaction);
  lines();

  const { callFields: _, ...vote } = voteOf('a');
  for (const id of [transaction.id, 7n]) {
    const unknown = { name: 'UnknownTransactionError', message: `transaction not found: ${id}` };
    await assert.rejects(transactions.vote(id, vote), unknown);
    await assert.rejects(transactions.enter(id, A, signal), unknown);
    assert.throws(() => transactions.stop(id), unknown);
  }

  assert.deepEqual(
    lines().map(({ component, msg }) => [component, msg]),
    Array.from({ length: 2 }, () => ['transactions.Manager', 'VoteTransaction: failure']),
  );
  assert.equal(counts.filter(([action]) => action === 'invalid').length, 2);
  assert.equal(counts.filter(([action]) => action === 'stopped').length, 0);
});

test('a transaction without an order enters at once', async () => {
  const { transactions } = start();
  await transactions.enter(transactions.register(THREE).id, A, signal);
});

test('nodes that enter share the lock of their transaction until it ends or is stopped', async () => {
  const events: string[] = [];
  const { transactions } = start();
  const order = serialized(events, 'preparing');
  const first = transactions.register(THREE, order);
  const second = transactions.register(THREE, order);

  for (const { id } of [first, first, second]) await transactions.enter(id, A, signal);
  assert.deepEqual(events.splice(0), ['lock x.git 1', 'lock x.git 2']);

  transactions.stop(first.id);
  transactions.finish(second);
  await immediate();
  assert.deepEqual(events.splice(0), ['release 1', 'release 2']);
  // The order of a stopped transaction is over.
  await transactions.enter(first.id, A, signal);
  assert.deepEqual(events, []);
});

test('a node that enters waits for the end of the transaction before', async () => {
  const { logger, transactions } = start();
  const writes = new SerializedWrites(new MemoryWriteLocks(), logger);
  const order = { ...serialized([], 'preparing'), writes };
  const first = transactions.register(THREE, order);
  const second = transactions.register(THREE, order);
  const events: string[] = [];
  await transactions.enter(first.id, A, signal);
  const entering = transactions.enter(second.id, A, signal).then(() => events.push('second'));
  await immediate();

  events.push('first ends');
  transactions.finish(first);
  await entering;

  assert.deepEqual(events, ['first ends', 'second']);
});

test('a write with votes before its changes takes the lock with the first preparing vote', async () => {
  const events: string[] = [];
  const { transactions } = start();
  const { id } = transactions.register(planVotes('a', []), serialized(events, 'preparing'));

  await transactions.vote(id, voteOf('a'));
  assert.deepEqual(events, []);
  await transactions.vote(id, voteOf('a', 'x', { phase: 'preparing' }));
  assert.deepEqual(events.splice(0), ['lock x.git 1']);
  await transactions.vote(id, voteOf('a', 'x', { phase: 'committed' }));
  assert.deepEqual(events, ['renew 1', 'release 1']);
});

test('a push takes the lock with the first vote of its primary', async () => {
  const events: string[] = [];
  const { transactions } = start();
  const { id } = transactions.register(planVotes('a', ['b']), serialized(events, 'primary'));

  const secondary = transactions.vote(id, voteOf('b'));
  await immediate();
  assert.deepEqual(events, []);
  await Promise.all([secondary, transactions.vote(id, voteOf('a'))]);
  assert.deepEqual(events.splice(0), ['lock x.git 1']);
  await Promise.all(
    ['a', 'b'].map((node) => transactions.vote(id, voteOf(node, 'x', { phase: 'prepared' }))),
  );
  assert.deepEqual(events, ['renew 1', 'renew 1']);
});
