import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { TestTransport } from '#testkit/clients/test-transport';
import { Balancer, type LoadBalancing } from './balancer.ts';
import { type Endpoint, endpointKey } from './endpoint.ts';
import type { OpenTransport } from './transport.ts';

const unix = (path: string): Endpoint => ({ kind: 'unix', path });

/** Opens transports, except to unavailable endpoints. */
function network(): {
  open: OpenTransport;
  down: Set<string>;
  opened: string[];
  transports: Map<string, TestTransport>;
} {
  const down = new Set<string>();
  const opened: string[] = [];
  const transports = new Map<string, TestTransport>();
  const open: OpenTransport = async (endpoint) => {
    const key = endpointKey(endpoint);
    opened.push(key);
    if (down.has(key)) throw new GitalyError('UNAVAILABLE', `cannot reach ${key}`);
    const transport = new TestTransport();
    transports.set(key, transport);
    return transport;
  };
  return { open, down, opened, transports };
}

function balance(
  open: OpenTransport,
  endpoints: readonly Endpoint[] | undefined,
  onLookAgain = () => {},
  policy?: LoadBalancing,
): Balancer {
  const resolver = (balancer: Balancer) => {
    if (endpoints !== undefined) balancer.setEndpoints(endpoints);
    return { lookAgain: onLookAgain, [Symbol.dispose]: () => {} };
  };
  return new Balancer({ open, resolver, policy });
}

test('nothing is opened before the first call', async () => {
  const { open, opened } = network();
  const balancer = balance(open, [unix('/a')]);
  assert.equal(balancer.state, 'idle');
  assert.deepEqual(opened, []);

  await balancer.waitForTransport();

  assert.equal(balancer.state, 'ready');
  assert.deepEqual(opened, ['unix:/a']);
  await balancer.close();
  assert.equal(balancer.state, 'shutdown');
});

test('calls are distributed over all ready endpoints in turn', async () => {
  const { open, transports } = network();
  const balancer = balance(open, [unix('/a'), unix('/b')]);
  await balancer.waitForTransport();
  await Promise.resolve();

  const picked = [1, 2, 3, 4].map(() => balancer.pick());

  const [a, b] = [transports.get('unix:/a'), transports.get('unix:/b')];
  assert.deepEqual(
    picked.map((transport) => transport === a),
    picked.map((_, i) => (picked[0] === a ? i % 2 === 0 : i % 2 === 1)),
  );
  assert.equal(picked.includes(b), true);
  await balancer.close();
});

test('one unavailable endpoint does not matter while another works', async () => {
  const { open, down, transports } = network();
  down.add('unix:/a');
  const balancer = balance(open, [unix('/a'), unix('/b')]);

  assert.equal(await balancer.waitForTransport(), transports.get('unix:/b'));
  await balancer.close();
});

test('pick_first opens one endpoint at a time and stays with the first that works', async () => {
  const { open, opened, down, transports } = network();
  down.add('unix:/a');
  const balancer = balance(open, [unix('/a'), unix('/b'), unix('/c')], undefined, 'pick_first');

  const transport = await balancer.waitForTransport();

  assert.equal(transport, transports.get('unix:/b'));
  assert.deepEqual([balancer.pick(), balancer.pick()], [transport, transport]);
  assert.deepEqual(opened, ['unix:/a', 'unix:/b']);
  await balancer.close();
});

test('pick_first fails when none of the endpoints works', async () => {
  const { open, opened, down } = network();
  down.add('unix:/a').add('unix:/b');
  const balancer = balance(open, [unix('/a'), unix('/b')], undefined, 'pick_first');

  await assert.rejects(balancer.waitForTransport(), { code: 'UNAVAILABLE' });
  assert.deepEqual(opened, ['unix:/a', 'unix:/b']);
  await balancer.close();
});

test('when all endpoints fail, calls fail at once with the reason and the resolver is notified', async () => {
  const { open, down } = network();
  down.add('unix:/a');
  let hints = 0;
  const balancer = balance(open, [unix('/a')], () => hints++);

  await assert.rejects(balancer.waitForTransport(), { code: 'UNAVAILABLE', message: 'cannot reach unix:/a' });
  assert.equal(balancer.state, 'transient_failure');
  await assert.rejects(balancer.waitForTransport(), { code: 'UNAVAILABLE' });
  assert.equal(hints, 1);
  await balancer.close();
});

test('after the pause the next call connects again', async (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { open, down, opened } = network();
  down.add('unix:/a');
  const balancer = balance(open, [unix('/a')]);
  await assert.rejects(balancer.waitForTransport());

  down.clear();
  context.mock.timers.tick(1200); // base 1 s + 20 %
  assert.equal(balancer.state, 'idle');
  await balancer.waitForTransport();

  assert.deepEqual(opened, ['unix:/a', 'unix:/a']);
  await balancer.close();
});

test('a broken transport is replaced at the next call', async () => {
  const { open, opened, transports } = network();
  const balancer = balance(open, [unix('/a')]);
  const first = await balancer.waitForTransport();

  await transports.get('unix:/a')?.destroy();
  assert.equal(balancer.state, 'idle');
  const second = await balancer.waitForTransport();

  assert.notEqual(second, first);
  assert.equal(opened.length, 2);
  await balancer.close();
});

test('calls wait for the endpoints until they are resolved or resolving fails', async () => {
  const { open } = network();
  const balancer = balance(open, undefined);
  const waiting = balancer.waitForTransport();

  balancer.setEndpoints([unix('/a')]);
  await waiting;
  await balancer.close();

  const hopeless = balance(open, undefined);
  const failing = hopeless.waitForTransport();
  hopeless.setError(new GitalyError('UNAVAILABLE', 'no name server'));
  await assert.rejects(failing, { message: 'no name server' });
  await hopeless.close();
});

test('a name without addresses has its own error', async () => {
  const balancer = balance(network().open, []);

  await assert.rejects(balancer.waitForTransport(), {
    code: 'UNAVAILABLE',
    message: /produced zero addresses/,
  });
});

test('remaining endpoints keep their connection, and removed ones are closed', async () => {
  const { open, opened, transports } = network();
  const balancer = balance(open, [unix('/a'), unix('/b')]);
  await balancer.waitForTransport();

  balancer.setEndpoints([unix('/b'), unix('/c')]);
  balancer.pick();
  await Promise.resolve();

  assert.deepEqual(opened, ['unix:/a', 'unix:/b', 'unix:/c']);
  assert.equal(transports.get('unix:/a')?.isOpen, false);
  assert.equal(transports.get('unix:/b')?.isOpen, true);
  await balancer.close();
});

test('the wait ends with the signal and with the connection', async () => {
  const balancer = balance(network().open, undefined);
  const abort = new AbortController();
  const first = balancer.waitForTransport(abort.signal);
  const second = balancer.waitForTransport();

  abort.abort(new Error('enough'));
  await balancer.close();

  await assert.rejects(first, { message: 'enough' });
  await assert.rejects(second, { code: 'CANCELLED', message: 'grpc: the client connection is closing' });
});
