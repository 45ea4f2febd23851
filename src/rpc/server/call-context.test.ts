import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { Metadata } from '#rpc/common/metadata';
import { TEST_PEER } from '#testkit/clients/in-process-rpc';
import { CommitService } from '#wire/gen/commit_pb';
import { methodInfo } from '#wire/method-info';
import { CallContext, type ContextExtras } from './call-context.ts';
import type { CallFlags } from './handler.ts';

const NOW_MS = 1_700_000_000_000;
const EXPIRED = new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded');
const LEFT = new GitalyError('CANCELLED', 'context canceled');
/** The longest time that `setTimeout` of Node waits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Options {
  readonly deadlineMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly extras?: ContextExtras;
}

/** A context that records its aborts. */
function newContext({ deadlineMs, headers = {}, extras = {} }: Options = {}) {
  const method = methodInfo(CommitService.method.findCommit);
  const context = new CallContext(method, Metadata.from(headers), TEST_PEER, deadlineMs, extras);
  const aborts: GitalyError[] = [];
  context.onAbort = (reason) => aborts.push(reason);
  return { context, aborts };
}

function stopClock({ mock }: TestContext): void {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: NOW_MS });
}

/** Timers that keep the process alive. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

test('a deadline aborts the call when it passes, and not before', (clock) => {
  stopClock(clock);
  const { context, aborts } = newContext({ deadlineMs: NOW_MS + 1000 });

  assert.deepEqual(context.deadline, new Date(NOW_MS + 1000));
  const { signal } = context;
  clock.mock.timers.tick(999);
  assert.deepEqual([signal.aborted, context.abortReason], [false, undefined]);
  clock.mock.timers.tick(1);

  assert.deepEqual([signal.reason, context.abortReason, aborts], [EXPIRED, EXPIRED, [EXPIRED]]);
  assert.equal(context.signal, signal);
});

test('a deadline is watched only for those who look at the signal or wait', (clock) => {
  stopClock(clock);
  const { context, aborts } = newContext({ deadlineMs: NOW_MS + 1000 });
  clock.mock.timers.tick(2000);
  assert.deepEqual([context.abortReason, aborts], [undefined, []]);

  context.watchDeadline();

  assert.deepEqual(aborts, [EXPIRED]);
  assert.equal(context.signal.reason, context.abortReason);
});

test('a deadline that has come this moment has passed, one a millisecond later has not', (clock) => {
  stopClock(clock);
  const [now, later] = [newContext({ deadlineMs: NOW_MS }), newContext({ deadlineMs: NOW_MS + 1 })];

  now.context.watchDeadline();
  later.context.watchDeadline();

  assert.deepEqual([now.aborts, later.aborts], [[EXPIRED], []]);
  later.context.finish();
});

test('a deadline beyond the longest timer of Node aborts nothing at once', (clock) => {
  stopClock(clock);
  const longest = newContext({ deadlineMs: NOW_MS + LONGEST_TIMER_MS });
  const longer = newContext({ deadlineMs: NOW_MS + LONGEST_TIMER_MS + 1 });

  longest.context.watchDeadline();
  longer.context.watchDeadline();
  clock.mock.timers.tick(LONGEST_TIMER_MS);

  assert.deepEqual([longest.aborts, longer.aborts], [[EXPIRED], []]);
});

test('a call without a deadline has none', () => {
  const { context, aborts } = newContext();

  assert.deepEqual([context.deadline, context.signal.aborted, aborts], [undefined, false, []]);
});

test('the first abort counts, and its reason is kept', () => {
  const { context, aborts } = newContext();
  const { signal } = context;

  context.abort(LEFT);
  context.abort(EXPIRED);

  assert.deepEqual([context.abortReason, signal.reason, aborts], [LEFT, LEFT, [LEFT]]);
});

test('a call that was aborted before has an aborted signal', () => {
  const { context } = newContext({ deadlineMs: Date.now() - 1 });

  context.abort(LEFT);

  assert.equal(context.signal.reason, LEFT);
});

test('nothing aborts a call after its end', () => {
  const { context, aborts } = newContext({ deadlineMs: Date.now() - 1 });

  context.finish();
  context.abort(LEFT);
  context.watchDeadline();

  assert.deepEqual([context.signal.aborted, context.abortReason, aborts], [false, undefined, []]);
});

for (const [name, end] of [
  ['ends', (context: CallContext) => context.finish()],
  ['is aborted', (context: CallContext) => context.abort(LEFT)],
] as const) {
  test(`a call has one timer, which ends when the call ${name}`, () => {
    const before = timers();
    const { context } = newContext({ deadlineMs: Date.now() + 3_600_000 });
    const { signal } = context;
    context.watchDeadline();
    assert.equal(timers(), before + 1);

    end(context);
    context.watchDeadline();

    assert.equal(timers(), before);
    assert.equal(signal.aborted, name === 'is aborted');
  });
}

test('a call that is over needs no timer', () => {
  const before = timers();
  for (const end of ['finish', 'abort'] as const) {
    const { context } = newContext({ deadlineMs: Date.now() + 3_600_000 });
    if (end === 'finish') context.finish();
    else context.abort(LEFT);

    context.watchDeadline();

    assert.equal(timers(), before);
  }
});

test('the id of a call is the client’s, or a new one that stays', () => {
  const header = 'x-gitlab-correlation-id';
  const own = [newContext(), newContext({ headers: { [header]: '' } })].map(({ context }) => context);

  assert.equal(newContext({ headers: { [header]: 'C1' } }).context.correlationId, 'C1');
  for (const context of own) {
    assert.match(context.correlationId, /./);
    assert.equal(context.correlationId, context.correlationId);
  }
  assert.notEqual(own[0]?.correlationId, own[1]?.correlationId);
});

test('a later field of the log replaces an earlier one', () => {
  const { context } = newContext();

  context.log.add({ a: 1, b: 1 });
  context.log.add({ b: 2 });

  assert.deepEqual(context.logFields, { a: 1, b: 2 });
});

test('flags are read once, from the headers; without a reader all are off', () => {
  const read: Metadata[] = [];
  const known: CallFlags = { isEnabled: () => true, sent: () => new Map([['x', true]]) };
  const flags = (headers: Metadata): CallFlags => {
    read.push(headers);
    return known;
  };
  const { context } = newContext({ extras: { flags } });

  assert.equal(context.flags, known);
  assert.equal(context.flags, known);
  assert.deepEqual(read, [context.headers]);
  const { flags: none } = newContext().context;
  assert.deepEqual([none.isEnabled({ name: 'x', onByDefault: true }), none.sent()], [false, new Map()]);
});

test('metadata of the response exist when they are used', () => {
  const { context } = newContext();
  assert.deepEqual([context.responseHeadersInUse, context.trailersInUse], [undefined, undefined]);

  context.responseHeaders.set('a', '1');
  context.trailers.set('b', '2');

  assert.equal(context.responseHeadersInUse?.get('a'), '1');
  assert.equal(context.trailersInUse?.get('b'), '2');
});

test('a sidechannel is opened with what the call has', async () => {
  const [channel] = duplexPair();
  const seen: unknown[] = [];
  const { context } = newContext({
    extras: {
      openSidechannel: async (...call) => {
        seen.push(...call);
        return channel;
      },
    },
  });

  assert.equal(await context.openSidechannel(), channel);
  assert.deepEqual(seen, [context.headers, TEST_PEER, context.signal]);
  assert.equal(context.method.name, 'FindCommit');
  await assert.rejects(newContext().context.openSidechannel(), {
    code: 'UNAVAILABLE',
    message: 'sidechannel: fail to extract mux session: non-multiplexed connection',
  });
});
