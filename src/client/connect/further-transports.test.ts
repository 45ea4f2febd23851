import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TestTransport } from '#testkit/clients/test-transport';
import { replaceMethod } from '#testkit/replace-method';
import { FurtherTransports } from './further-transports.ts';
import type { Transport } from './transport.ts';

const BUSY = 16;
const BUSY_MS = 200;
const PAUSE_MS = 1000;
const IDLE_MS = 30_000;

/** Arranges further connections. Each attempt to connect takes its result from `answers`. */
function arrange(context: TestContext, { max = 2 } = {}) {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const clock = { nowMs: 0 };
  replaceMethod(context, performance, 'now', () => clock.nowMs);
  const answers: Promise<Transport>[] = [];
  let attempts = 0;
  const open = (): Promise<Transport> => {
    attempts++;
    return answers.shift() ?? Promise.reject(new Error('no server'));
  };
  const further = new FurtherTransports({ max, open });
  context.after(() => further.shutDown());
  const choose = async (first: TestTransport): Promise<Transport> => {
    const chosen = further.choose(first);
    await turn(); // an attempt to connect ends
    return chosen;
  };
  /** Opens one more connection, because the others have too many calls. */
  const add = async (first: TestTransport, transport = new TestTransport()): Promise<TestTransport> => {
    answers.push(Promise.resolve(transport));
    await choose(first);
    clock.nowMs += BUSY_MS;
    await choose(first);
    return transport;
  };
  return { add, answers, attempts: () => attempts, choose, clock, further };
}

test('another connection is opened after 200 ms with 16 calls on each', async (context) => {
  const { answers, attempts, choose, clock } = arrange(context);
  const [first, second] = [new TestTransport(BUSY), new TestTransport()];
  answers.push(Promise.resolve(second));

  assert.equal(await choose(first), first);
  clock.nowMs = BUSY_MS - 1;
  await choose(first);
  assert.equal(attempts(), 0);
  clock.nowMs = BUSY_MS;
  assert.equal(await choose(first), first);

  assert.equal(attempts(), 1);
  assert.equal(await choose(first), second);
});

test('a moment with fewer calls begins the 200 ms anew', async (context) => {
  const { attempts, choose, clock } = arrange(context);
  const first = new TestTransport(BUSY);
  await choose(first);
  first.calls = BUSY - 1;
  await choose(first);
  first.calls = BUSY;

  clock.nowMs = BUSY_MS;
  await choose(first);
  assert.equal(attempts(), 0);
  clock.nowMs = 2 * BUSY_MS;
  await choose(first);
  assert.equal(attempts(), 1);
});

test('a call goes to the connection with the fewest calls, the older one of two', async (context) => {
  const { add, choose } = arrange(context);
  const first = new TestTransport(BUSY);
  const second = await add(first);
  second.calls = BUSY;
  const third = await add(first);

  [first.calls, second.calls, third.calls] = [3, 2, 2];
  assert.equal(await choose(first), second);
  [first.calls, second.calls, third.calls] = [2, 2, 2];
  assert.equal(await choose(first), first);
  third.calls = 1;
  assert.equal(await choose(first), third);
  third.isOpen = false;
  assert.equal(await choose(first), first);
});

test('no more are opened than allowed, and none while one is being opened', async (context) => {
  const { add, answers, attempts, choose, clock } = arrange(context, { max: 1 });
  const first = new TestTransport(BUSY);
  const { promise, resolve } = Promise.withResolvers<Transport>();
  answers.push(promise);
  await add(first, undefined);
  await choose(first);
  assert.equal(attempts(), 1, 'it is still being opened');

  const second = new TestTransport(BUSY);
  resolve(second);
  await turn();
  for (let look = 0; look < 3; look++) {
    clock.nowMs += BUSY_MS;
    await choose(first);
  }
  assert.equal(attempts(), 1);
  second.isOpen = false; // it drains, so that another one may replace it
  clock.nowMs += BUSY_MS;
  await choose(first);
  assert.equal(attempts(), 2);
});

test('after a failed attempt there is none for a second', async (context) => {
  const { attempts, choose, clock } = arrange(context);
  const first = new TestTransport(BUSY);
  await choose(first);
  clock.nowMs = BUSY_MS;
  await choose(first);
  assert.equal(attempts(), 1);

  await choose(first);
  clock.nowMs = BUSY_MS + PAUSE_MS - 1;
  await choose(first);
  assert.equal(attempts(), 1);
  clock.nowMs = BUSY_MS + PAUSE_MS;
  await choose(first);

  assert.equal(attempts(), 2);
});

test('the first connection is replaced by the oldest of the others that is open', async (context) => {
  const { add, further } = arrange(context, { max: 3 });
  const first = new TestTransport(BUSY);
  const others: TestTransport[] = [];
  for (let count = 0; count < 3; count++) {
    const transport = await add(first);
    transport.calls = BUSY;
    others.push(transport);
  }
  const [draining, second, third] = others;
  assert.ok(draining && second && third);
  draining.isOpen = false;

  assert.equal(further.take(), second);
  assert.deepEqual(further.shutDown(), [draining, third], 'the taken one belongs to its new owner');
  assert.equal(further.take(), undefined);
});

test('one that was not needed for 30 seconds is drained, the newest first', async (context) => {
  const { add, choose, further } = arrange(context);
  const { timers } = context.mock;
  const first = new TestTransport(BUSY);
  const second = await add(first);
  second.calls = BUSY;
  const third = await add(first);
  const open = () => [second.isOpen, third.isOpen];

  timers.tick(IDLE_MS); // the connections were needed during this time
  assert.deepEqual(open(), [true, true]);
  [first.calls, second.calls, third.calls] = [BUSY / 2, BUSY / 2, BUSY / 2];
  await choose(first);
  timers.tick(IDLE_MS);
  assert.deepEqual(open(), [true, true]);
  first.calls = BUSY / 2 - 1;
  await choose(first);
  timers.tick(IDLE_MS);
  assert.deepEqual(open(), [true, false]);
  timers.tick(IDLE_MS);
  assert.deepEqual(open(), [false, false]);
  await third.destroy();
  assert.deepEqual(further.shutDown(), [second], 'those that finish their calls are closed, too');
});

test('after the end nothing is opened, and a late connection is closed', async (context) => {
  const { answers, attempts, choose, clock, further } = arrange(context);
  const first = new TestTransport(BUSY);
  const { promise, resolve } = Promise.withResolvers<Transport>();
  answers.push(promise);
  await choose(first);
  clock.nowMs = BUSY_MS;
  await choose(first);

  assert.deepEqual(further.shutDown(), []);
  const late = new TestTransport();
  resolve(late);
  await late.closed;

  await choose(first);
  clock.nowMs += BUSY_MS;
  await choose(first);
  assert.equal(attempts(), 1);
});
