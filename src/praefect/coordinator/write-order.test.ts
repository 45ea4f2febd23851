import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { createLogger } from '#platform/log/logger';
import { methodInfo } from '#wire/method-info';
import { servedByGitaly } from '#wire/methods';
import { MAX_WAITING, MemoryWriteLocks } from '../transactions/memory-write-locks.ts';
import { WriteOrder } from './write-order.ts';

const logger = createLogger({ format: 'json', level: 'info', stream: { write: () => {} } });
const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const { signal } = new AbortController();

const METHODS = servedByGitaly.flatMap(({ methods }) => methods.map(methodInfo));
function method(name: string) {
  const found = METHODS.find((each) => each.name === name);
  assert.ok(found !== undefined);
  return found;
}
const WRITE_REF = method('WriteRef');
const DELETE_REFS = method('DeleteRefs');
const PUSH = method('PostReceivePack');

const orderOf = (isOn = true): WriteOrder =>
  new WriteOrder({ isOn, ownLocks: new MemoryWriteLocks(), sharedLocks: undefined, logger });

/** Enters, and notes when it may go on. */
async function enter(order: WriteOrder, events: string[], name: string, relativePath = 'x.git') {
  const entered = await order.enter(WRITE_REF, { ...repository, relativePath }, signal);
  events.push(name);
  return entered;
}

test('writes to one repository go on in their order, those to others at once', async () => {
  const order = orderOf();
  const events: string[] = [];
  const first = await enter(order, events, 'first');
  const second = enter(order, events, 'second');
  const third = enter(order, events, 'third');
  await enter(order, events, 'other', 'y.git');

  first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
  (await third)[Symbol.dispose]();

  assert.deepEqual(events, ['first', 'other', 'second', 'third']);
});

test('the votes of a deletion wait for a WriteRef, which waits for them', async () => {
  const order = orderOf();
  const events: string[] = [];
  const write = await enter(order, events, 'write');
  const votes = order.ofVotes(DELETE_REFS, repository, { isShared: false, primary: 'gitaly-1' });
  assert.ok(votes !== undefined);
  const vote = (phase: 'preparing' | 'committed'): Promise<void> =>
    votes.writes.vote({ id: 1n, repository }, phase, signal, async () => void events.push(phase));
  const preparing = vote('preparing');
  await immediate();
  assert.deepEqual(events, ['write']);

  write[Symbol.dispose]();
  await preparing;
  const next = enter(order, events, 'next');
  await immediate();
  assert.deepEqual(events, ['write', 'preparing']);
  await vote('committed');
  (await next)[Symbol.dispose]();

  assert.deepEqual(events, ['write', 'preparing', 'committed', 'next']);
});

test('a push, and a call that nodes vote on before they lock, are sent at once', async () => {
  const order = orderOf();
  await order.enter(WRITE_REF, repository, signal);

  await order.enter(DELETE_REFS, repository, signal);
  await order.enter(PUSH, repository, signal);
});

test('a push waits at the first vote of its primary, and until the vote after its references', async () => {
  const order = orderOf();
  const events: string[] = [];
  const write = await enter(order, events, 'write');
  const votes = order.ofVotes(PUSH, repository, { isShared: false, primary: 'gitaly-1' });
  assert.equal(votes?.start, 'primary');
  const vote = (phase: 'synchronized' | 'prepared' | 'committed', isFirstOfPrimary = false): Promise<void> =>
    votes.writes.votePush({ id: 1n, repository }, { isFirstOfPrimary, phase }, signal, async () => {
      events.push(phase);
    });
  const synchronized = vote('synchronized', true);
  await vote('synchronized'); // of a secondary, which runs no hooks
  write[Symbol.dispose]();
  await synchronized;
  const next = enter(order, events, 'next');
  for (const phase of ['prepared', 'committed', 'prepared', 'committed'] as const) await vote(phase);
  await immediate();
  assert.equal(events.includes('next'), false);
  await vote('synchronized');
  (await next)[Symbol.dispose]();
});

test('a caller that leaves does not wait any longer, and others get its place', async () => {
  const order = orderOf();
  const events: string[] = [];
  const first = await enter(order, events, 'first');
  const leaving = new AbortController();
  const left = order.enter(WRITE_REF, repository, leaving.signal);
  const second = enter(order, events, 'second');

  leaving.abort(new Error('gone'));

  await assert.rejects(left, /^Error: gone$/);
  first[Symbol.dispose]();
  await second;
  assert.deepEqual(events, ['first', 'second']);
});

test('too many waiting writes are refused', async () => {
  const order = orderOf();
  const first = await order.enter(WRITE_REF, repository, signal);
  const waiting = Array.from({ length: MAX_WAITING }, () => order.enter(WRITE_REF, repository, signal));

  await assert.rejects(order.enter(WRITE_REF, repository, signal), {
    code: 'RESOURCE_EXHAUSTED',
    message: 'too many writes wait for the repository',
  });

  first[Symbol.dispose]();
  for (const entered of waiting) (await entered)[Symbol.dispose]();
});

test('locks that fail for another reason than too many waiting writes report that', async () => {
  const error = new Error('no lock');
  const ownLocks = { lock: () => Promise.reject(error) };
  const order = new WriteOrder({ isOn: true, ownLocks, sharedLocks: undefined, logger });

  await assert.rejects(order.enter(WRITE_REF, repository, signal), error);
});

test('nothing waits when the key is off', async () => {
  const order = orderOf(false);

  await order.enter(WRITE_REF, repository, signal);
  await order.enter(WRITE_REF, repository, signal);

  assert.equal(order.ofVotes(DELETE_REFS, repository, { isShared: false, primary: 'gitaly-1' }), undefined);
});
