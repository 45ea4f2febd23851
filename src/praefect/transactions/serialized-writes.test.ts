import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineLogger } from '#testkit/line-logger';
import { recordedLocks } from '#testkit/praefect/recorded-locks';
import { MemoryWriteLocks } from './memory-write-locks.ts';
import { SerializedWrites, type VotePhase } from './serialized-writes.ts';
import type { WriteLock, WriteLocks } from './write-locks.ts';

const { signal } = new AbortController();
const transaction = { id: 7n, repository: { virtualStorage: 'default', relativePath: 'x.git' } };
const LOCKED = 'lock x.git 7';
const RENEWED = 'renew 7';
const RELEASED = 'release 7';

function start(locksOf: (events: string[]) => WriteLocks = recordedLocks) {
  const events: string[] = [];
  const { lines: log, logger } = lineLogger();
  const writes = new SerializedWrites(locksOf(events), logger);
  const cast = (fails: boolean) => async (): Promise<void> => {
    events.push('vote');
    if (fails) throw new Error('no quorum');
  };
  return {
    ...{ events, log, writes },
    vote: (phase: VotePhase, fails = false) => writes.vote(transaction, phase, signal, cast(fails)),
    votePush: (phase: VotePhase, isFirstOfPrimary = false, fails = false) =>
      writes.votePush(transaction, { isFirstOfPrimary, phase }, signal, cast(fails)),
  };
}

/** Locks whose single lock does what a test wants. */
const locksWith =
  (lock: Partial<WriteLock>): (() => WriteLocks) =>
  () => ({ lock: async () => ({ renew: async () => {}, release: async () => {}, ...lock }) });

test('a vote is cast while the lock is held', async () => {
  const { events, vote } = start();
  for (const phase of ['preparing', 'prepared', 'committed'] as const) await vote(phase);
  assert.deepEqual(events, [LOCKED, 'vote', RENEWED, 'vote', RENEWED, 'vote', RELEASED]);
});

test('the nodes of a transaction share its lock, and release it once', async () => {
  const { events, vote, writes } = start();
  await Promise.all([vote('preparing'), vote('preparing')]);
  await vote('committed');
  await vote('committed');
  await writes.release(transaction.id);
  const locking = events.filter((event) => event !== 'vote');
  assert.deepEqual(locking, [LOCKED, RENEWED, RELEASED]);

  await vote('preparing');
  assert.deepEqual(events.slice(-2), [LOCKED, 'vote'], 'the next one takes it again');
});

for (const { phase, releases } of [
  { phase: 'preparing', releases: true },
  { phase: 'prepared', releases: true },
  { phase: 'committed', releases: true },
  { phase: 'unknown', releases: false },
  { phase: 'synchronized', releases: false },
] as const)
  test(`a ${phase} vote that fails ${releases ? 'releases' : 'keeps'} the lock`, async () => {
    const { events, vote, writes } = start();
    await writes.enter(transaction, signal);

    await assert.rejects(vote(phase, true), { message: 'no quorum' });

    assert.equal(events.includes(RELEASED), releases);
  });

test('votes without a preparing one take no lock', async () => {
  const { events, vote } = start();
  for (const phase of ['unknown', 'prepared', 'committed', 'synchronized'] as const) await vote(phase);
  assert.deepEqual(events, ['vote', 'vote', 'vote', 'vote']);
});

test('a push holds the lock from the first vote of its primary to the first after references', async () => {
  const { events, votePush } = start();
  await votePush('synchronized', true);
  await votePush('synchronized');
  assert.deepEqual(events.splice(0), [LOCKED, 'vote', 'vote'], 'no references yet');

  await votePush('prepared');
  await votePush('committed');
  await votePush('unknown');
  assert.deepEqual(events.splice(0), [RENEWED, 'vote', RENEWED, 'vote', 'vote']);

  await votePush('synchronized');
  await votePush('synchronized');
  assert.deepEqual(events, [RELEASED, 'vote', 'vote']);
});

test('the votes of secondaries before the primary of a push take no lock', async () => {
  const { events, votePush } = start();
  await votePush('prepared');
  await votePush('synchronized');
  assert.deepEqual(events, ['vote', 'vote']);
});

test('a push whose vote fails keeps the lock until its transaction ends', async () => {
  const { events, votePush, writes } = start();
  await votePush('synchronized', true);
  await assert.rejects(votePush('prepared', false, true), { message: 'no quorum' });
  assert.ok(!events.includes(RELEASED));

  await writes.release(transaction.id);
  assert.equal(events.at(-1), RELEASED);
});

test('a lock that cannot be taken or renewed fails the vote with the id of the transaction', async () => {
  const refusing = start(() => ({ lock: () => Promise.reject(new Error('refused')) }));
  await assert.rejects(refusing.vote('preparing'), { message: 'lock transaction 7: refused' });
  await assert.rejects(refusing.votePush('unknown', true), { message: 'lock transaction 7: refused' });
  assert.deepEqual(refusing.events, []);

  const lost = start(locksWith({ renew: () => Promise.reject(new Error('lost')) }));
  await lost.vote('preparing');
  await assert.rejects(lost.vote('prepared'), { message: 'lock transaction 7: lost' });
  assert.deepEqual(lost.events, ['vote']);
});

test('a release that fails is logged', async () => {
  const { log, vote } = start(locksWith({ release: () => Promise.reject(new Error('gone')) }));
  await vote('preparing');
  await vote('committed');
  assert.deepEqual(
    log.map((line) => [line.level, line.msg, line['transaction.id'], line.error]),
    [['error', 'release repo lock', 7, 'gone']],
  );
});

test('a release ends the wait for the lock', async () => {
  let waiting: AbortSignal | undefined;
  const { log, vote, writes } = start(() => ({
    lock: (_repository, _id, aborted) => {
      waiting = aborted;
      return new Promise((_, reject) => {
        aborted.addEventListener('abort', () => reject(new Error('aborted')));
      });
    },
  }));
  const voting = vote('preparing');

  await writes.release(transaction.id);

  await assert.rejects(voting, { message: 'lock transaction 7: aborted' });
  assert.equal(waiting?.aborted, true);
  assert.deepEqual(log, []);
});

test('a voter that goes away does not end the wait of the others of its transaction', async () => {
  const taken = Promise.withResolvers<WriteLock>();
  const { events, vote, writes } = start(() => ({ lock: () => taken.promise }));
  const leaving = new AbortController();
  const left = writes.enter(transaction, leaving.signal);
  const staying = vote('preparing');

  leaving.abort(new Error('left'));
  await assert.rejects(left, { message: 'lock transaction 7: left' });
  taken.resolve({ renew: async () => {}, release: async () => {} });
  await staying;

  assert.deepEqual(events, ['vote']);
});

test('a node that locks more than the first one has its transaction lock all references', async () => {
  const events: string[] = [];
  const lock: WriteLock = {
    renew: async () => {},
    release: async () => void events.push('release'),
    widen: async () => void events.push('widen'),
  };
  const { writes } = start(() => ({
    lock: async (_repository, _id, _signal, references) => {
      events.push(`lock ${references}`);
      return lock;
    },
  }));
  const enter = (references?: readonly string[]) => writes.enter({ ...transaction, references }, signal);

  await enter(['refs/heads/a']);
  await enter(['refs/heads/a']);
  assert.deepEqual(events.splice(0), ['lock refs/heads/a']);
  await Promise.all([enter(['refs/heads/b']), enter()]);
  await enter(['refs/heads/a']);
  assert.deepEqual(events.splice(0), ['widen']);
  await writes.release(transaction.id);
  assert.deepEqual(events, ['release']);
});

test('a transaction that ends no longer waits to lock all references', async () => {
  const { writes } = start(() => new MemoryWriteLocks());
  const other = { ...transaction, id: 8n, references: ['refs/heads/b'] };
  await writes.enter({ ...transaction, references: ['refs/heads/a'] }, signal);
  await writes.enter(other, signal);
  const widening = writes.enter(transaction, signal);

  await writes.release(transaction.id);

  await assert.rejects(widening, { message: /^lock transaction 7: / });
  await writes.enter({ ...transaction, id: 9n, references: ['refs/heads/a'] }, signal);
});
