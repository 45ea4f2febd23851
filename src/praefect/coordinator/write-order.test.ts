import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { createLogger } from '#platform/log/logger';
import { movedClock } from '#testkit/praefect/moved-clock';
import { WriteRefRequestSchema } from '#wire/gen/repository_pb';
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
const DELETE_REFS = method('DeleteRefs');
const PUSH = method('PostReceivePack');
const OID = '1'.repeat(40);

/** A WriteRef; by default one that may lock any reference. */
const writeRef = (ref = 'HEAD', relativePath = 'x.git', revision = OID) => ({
  method: method('WriteRef'),
  repository: { ...repository, relativePath },
  request: create(WriteRefRequestSchema, { ref: Buffer.from(ref), revision: Buffer.from(revision) }),
});
const UNNAMED = { isShared: false, primary: 'gitaly-1', entered: { widen: async () => {} } };

const orderOf = (isOn = true): WriteOrder =>
  new WriteOrder({ isOn, ownLocks: new MemoryWriteLocks(), sharedLocks: undefined, logger });

/** Enters a write, and records when it may continue. */
async function enter(order: WriteOrder, events: string[], name: string, relativePath = 'x.git') {
  const entered = await order.enter(writeRef('HEAD', relativePath), signal);
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
  const votes = order.ofVotes(DELETE_REFS, repository, UNNAMED);
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
  await order.enter(writeRef(), signal);

  await order.enter({ ...writeRef(), method: DELETE_REFS }, signal);
  await order.enter({ ...writeRef(), method: PUSH }, signal);
});

test('a push waits at the first vote of its primary, and until the vote after its references', async () => {
  const order = orderOf();
  const events: string[] = [];
  const write = await enter(order, events, 'write');
  const votes = order.ofVotes(PUSH, repository, UNNAMED);
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
  const left = order.enter(writeRef(), leaving.signal);
  const second = enter(order, events, 'second');

  leaving.abort(new Error('gone'));

  await assert.rejects(left, /^Error: gone$/);
  first[Symbol.dispose]();
  await second;
  assert.deepEqual(events, ['first', 'second']);
});

test('too many waiting writes are refused', async () => {
  const order = orderOf();
  const first = await order.enter(writeRef(), signal);
  const waiting = Array.from({ length: MAX_WAITING }, () => order.enter(writeRef(), signal));

  await assert.rejects(order.enter(writeRef(), signal), {
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

  await assert.rejects(order.enter(writeRef(), signal), error);
});

test('nothing waits when the key is off', async () => {
  const order = orderOf(false);

  await order.enter(writeRef(), signal);
  await order.enter(writeRef(), signal);

  assert.equal(order.ofVotes(DELETE_REFS, repository, UNNAMED), undefined);
});

test('writes of different references go on at once, those of one and of its directory do not', async () => {
  const order = orderOf();
  const events: string[] = [];
  const enterAs = async (name: string, ref: string, revision = OID): Promise<Disposable> => {
    const entered = await order.enter(writeRef(ref, 'x.git', revision), signal);
    events.push(name);
    return entered;
  };

  const [first, second] = await Promise.all([enterAs('a', 'refs/heads/a'), enterAs('ab', 'refs/heads/ab')]);
  const below = enterAs('a/b', 'refs/heads/a/b');
  const deletion = enterAs('deletion', 'refs/heads/c', '0'.repeat(40));
  const later = enterAs('d', 'refs/heads/d');
  await immediate();
  assert.deepEqual(events.splice(0), ['a', 'ab']);

  first[Symbol.dispose]();
  const third = await below;
  await immediate();
  assert.deepEqual(events.splice(0), ['a/b'], 'the deletion waits for all, and is not overtaken');

  second[Symbol.dispose]();
  third[Symbol.dispose]();
  (await deletion)[Symbol.dispose]();
  await later;
  assert.deepEqual(events, ['deletion', 'd']);
});

test('after a node had to lock all references, writes do so for ten minutes', async (context) => {
  const move = movedClock(context);
  const order = orderOf();
  const write = writeRef('refs/heads/a');
  const isNarrow = async (): Promise<boolean> => {
    using entered = await order.enter(write, signal);
    return entered.isNarrow;
  };
  assert.equal(await isNarrow(), true);

  const entered = await order.enter(write, signal);
  const other = await order.enter(writeRef('refs/heads/b'), signal);
  const votes = order.ofVotes(write.method, write.repository, { ...UNNAMED, entered });
  let isWidened = false;
  const widened = votes?.entered?.widen(signal).then(() => {
    isWidened = true;
  });
  await immediate();
  assert.equal(isWidened, false);
  other[Symbol.dispose]();
  await widened;
  entered[Symbol.dispose]();

  assert.equal(await isNarrow(), false);
  await move(10 * 60_000 - 1);
  assert.equal(await isNarrow(), false);
  await move(1);
  assert.equal(await isNarrow(), true);
});

test('a write that ends no longer waits to lock all references', async () => {
  const order = orderOf();
  const entered = await order.enter(writeRef('refs/heads/a'), signal);
  const other = await order.enter(writeRef('refs/heads/b'), signal);
  const widening = entered.widen(signal);

  entered[Symbol.dispose]();

  await assert.rejects(widening, { name: 'LimitRefusal' });
  await order.enter(writeRef('refs/heads/a'), signal);
  other[Symbol.dispose]();
});
