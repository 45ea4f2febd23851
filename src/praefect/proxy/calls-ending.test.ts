import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { type TestContext, test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { clientContext } from '#testkit/praefect/proxied-node';
import type { ProxyPlan } from './proxy-plan.ts';
import { CallsEnding } from './proxy-to-all.ts';

const DEADLINE = new Date(1_800_000_000_000);

/** @param isStarted reports whether the nodes have started a change; `undefined` for a call without votes */
function start(context: TestContext, isStarted?: () => boolean, options: { deadline?: Date } = {}) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const client = clientContext(options);
  // All that the end of calls depends on.
  const plan = (isStarted === undefined ? {} : { isBegun: isStarted }) as ProxyPlan;
  const ending = new CallsEnding(plan, client.context);
  const { signal } = ending.options;
  return { ...client, ending, signal, tick: (ms: number) => context.mock.timers.tick(ms) };
}

test('the calls of a client that goes end at once, with its reason', (context) => {
  for (const isStarted of [undefined, () => false]) {
    const { abort, gone, signal } = start(context, isStarted);
    assert.equal(signal.aborted, false);
    abort();
    assert.equal(signal.reason, gone);
    context.mock.timers.reset();
  }
});

test('the calls of a client that has gone before end at once, whatever was isStarted', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { abort, context: ofClient, gone } = clientContext();
  abort();
  // All that the end of calls depends on.
  const plan = { isBegun: () => true } as unknown as ProxyPlan;
  const { options } = new CallsEnding(plan, ofClient);
  assert.equal(options.signal.reason, gone);
});

test('nodes that have started a change have two seconds to complete it', (context) => {
  const { abort, ending, gone, signal, tick } = start(context, () => true);
  abort();
  tick(1000);
  ending.soon();
  tick(999);
  assert.equal(signal.aborted, false);
  tick(1);
  assert.equal(signal.reason, gone);
});

test('calls that are ended for the client have a reason of their own', (context) => {
  const { ending, signal } = start(context);
  ending.soon();
  assert.ok(signal.reason instanceof GitalyError);
  assert.deepEqual([signal.reason.code, signal.reason.message], ['CANCELLED', 'context canceled']);
});

test('calls that are over are not ended any more', (context) => {
  const { context: ofClient, ending, signal, tick } = start(context, () => true);
  assert.equal(getEventListeners(ofClient.signal, 'abort').length, 1);
  ending.soon();
  ending[Symbol.dispose]();
  tick(10_000);
  assert.equal(signal.aborted, false);
  assert.equal(getEventListeners(ofClient.signal, 'abort').length, 0);
});

test('the nodes have the deadline of the client, and time to complete a change after it', (context) => {
  for (const { isStarted, expected } of [
    { isStarted: undefined, expected: DEADLINE.getTime() },
    { isStarted: () => false, expected: DEADLINE.getTime() + 2000 },
  ]) {
    const { ending } = start(context, isStarted, { deadline: DEADLINE });
    assert.equal(ending.options.deadline?.getTime(), expected);
    context.mock.timers.reset();
  }
  assert.equal('deadline' in start(context).ending.options, false);
});
