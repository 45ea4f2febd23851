import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { TestTransport } from '#testkit/clients/test-transport';
import type { ConnectionState } from './connection-state.ts';
import { Subconnection, type SubconnectionOptions } from './subconnection.ts';
import type { Transport } from './transport.ts';

const ENDPOINT = { kind: 'unix', path: '/a' } as const;
const CLOSING = new GitalyError('CANCELLED', 'closing');
const FIRST_PAUSE_MS = 1000;

/** Arranges a connection whose attempts have these results in turn. Further attempts fail. */
function arrange(context: TestContext, options: Partial<SubconnectionOptions> = {}) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  context.mock.method(Math, 'random', () => 0.5); // no jitter
  const results: Promise<Transport>[] = [];
  const states: ConnectionState[] = [];
  let attempts = 0;
  const connection: Subconnection = new Subconnection(ENDPOINT, {
    open: () => {
      attempts++;
      return results.shift() ?? Promise.reject(new Error('cannot be reached'));
    },
    onChange: () => states.push(connection.state),
    ...options,
  });
  context.after(() => connection.close(CLOSING));
  const connect = async (result?: Promise<Transport>): Promise<void> => {
    if (result !== undefined) results.push(result);
    connection.connect();
    await turn();
  };
  return { attempts: () => attempts, connect, connection, states };
}

test('a connection is opened on request, once', async (context) => {
  const { attempts, connect, connection, states } = arrange(context);
  const transport = new TestTransport(1);
  assert.deepEqual([connection.state, connection.pick()], ['idle', undefined]);
  const { promise, resolve } = Promise.withResolvers<Transport>();

  await connect(promise);
  await connect();
  assert.deepEqual([connection.state, connection.pick(), attempts()], ['connecting', undefined, 1]);
  resolve(transport);
  await turn();
  await connect();

  assert.deepEqual([connection.state, connection.pick(), attempts()], ['ready', transport, 1]);
  assert.deepEqual(states, ['connecting', 'ready']);
});

test('pauses between failed attempts grow up to a limit, and end with a success', async (context) => {
  const { attempts, connect, connection, states } = arrange(context, { maxBackoffMs: 2000 });
  const { timers } = context.mock;
  for (const [number, pauseMs] of [FIRST_PAUSE_MS, 1600, 2000, 2000].entries()) {
    await connect();
    assert.equal(connection.state, 'transient_failure');
    assert.deepEqual(
      [connection.error?.code, connection.error?.message],
      ['UNAVAILABLE', 'cannot be reached'],
    );
    timers.tick(pauseMs - 1);
    await connect();
    assert.equal(attempts(), number + 1, `${number} is paused`);
    timers.tick(1);
    assert.equal(connection.state, 'idle');
  }
  assert.deepEqual(states.slice(0, 4), ['connecting', 'transient_failure', 'idle', 'connecting']);

  const transport = new TestTransport(1);
  await connect(Promise.resolve(transport));
  assert.deepEqual([connection.state, connection.error], ['ready', undefined]);
  await transport.destroy();
  await connect();
  timers.tick(FIRST_PAUSE_MS);

  assert.equal(connection.state, 'idle');
});

test('without an option the longest pause is two minutes', async (context) => {
  const { attempts, connect, connection } = arrange(context);
  const { timers } = context.mock;
  for (let count = 0; count < 20; count++) {
    await connect();
    timers.tick(120_000);
  }
  assert.equal(attempts(), 20);

  await connect();
  timers.tick(119_999);
  assert.equal(connection.state, 'transient_failure');
});

test('a connection that the peer ends becomes idle, and its last calls may finish', async (context) => {
  const { connect, connection, states } = arrange(context);
  const [first, second] = [new TestTransport(), new TestTransport()];
  await connect(Promise.resolve(first));

  first.isOpen = false; // a GOAWAY
  assert.deepEqual([connection.transport, connection.state], [undefined, 'idle']);
  await connect(Promise.resolve(second));
  assert.equal(connection.transport, second);
  await connection.close(CLOSING);

  assert.deepEqual([first.ends, second.ends], [[CLOSING], [CLOSING]]);
  assert.equal(states.at(-1), 'shutdown');
});

test('a broken connection is forgotten', async (context) => {
  const { connect, connection } = arrange(context);
  const transport = new TestTransport(1);
  await connect(Promise.resolve(transport));
  await transport.destroy();
  await turn();
  assert.equal(connection.state, 'idle');

  await connection.close(CLOSING);

  assert.deepEqual(transport.ends, [undefined], 'it is not closed again');
});

test('a retired connection drains, and opens no more', async (context) => {
  const { attempts, connect, connection } = arrange(context);
  const transport = new TestTransport(1);
  await connect(Promise.resolve(transport));

  connection.retire();
  await connect();

  assert.deepEqual([transport.ends, connection.state, attempts()], [['drained'], 'shutdown', 1]);
  assert.equal(connection.pick(), undefined);
});

test('a connection that is opened after the close is closed', async (context) => {
  const { connect, connection, states } = arrange(context);
  const { promise, resolve } = Promise.withResolvers<Transport>();
  await connect(promise);
  await connection.close(CLOSING);

  const transport = new TestTransport(1);
  resolve(transport);
  await turn();

  assert.deepEqual([transport.ends, states], [[undefined], ['connecting', 'shutdown']]);
});

test('an attempt that fails after the close changes nothing', async (context) => {
  const { connect, connection, states } = arrange(context);
  const { promise, reject } = Promise.withResolvers<Transport>();
  await connect(promise);
  await connection.close(CLOSING);

  reject(new Error('too late'));
  await turn();

  assert.deepEqual([connection.error, states], [undefined, ['connecting', 'shutdown']]);
});
