import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { openTimers } from '#testkit/measure/open-timers';
import { until } from '#testkit/until';
import type { Balancer } from './balancer.ts';
import { DnsResolver } from './dns-resolver.ts';
import { openSocket } from './endpoint.ts';
import { Subconnection } from './subconnection.ts';
import { WaitLimit } from './wait-limit.ts';
import { waitUntilReady } from './wait-until-ready.ts';

// A timer that is left behind keeps a connection, and what its owner holds, for minutes.

test('a resolver that is closed leaves no timer', async (context) => {
  const timers = openTimers(context);
  let results = 0;
  const note = (): void => void results++;
  const target = { host: 'localhost', port: 1, nameServer: undefined };
  const resolver = new DnsResolver(target, { onAddresses: note, onError: note });
  await until(() => results === 1);
  assert.equal(timers(), 1, 'for the next lookup');

  resolver[Symbol.dispose]();

  assert.equal(timers(), 0);
});

test('an attempt to connect leaves no timer, whatever its result', async (context) => {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const endpoint = { kind: 'tcp', tls: false, serverName: '', host: '127.0.0.1', port } as const;
  const { signal } = new AbortController();
  const timers = openTimers(context);

  const socket = await openSocket(endpoint, { tls: undefined, signal });
  assert.equal(timers(), 0);
  socket.destroy();
  await assert.rejects(openSocket({ kind: 'unix', path: '/nowhere' }, { tls: undefined, signal }));

  assert.equal(timers(), 0);
});

test('a connection that is closed in a pause leaves no timer', async (context) => {
  const timers = openTimers(context);
  const open = () => Promise.reject(new Error('cannot be reached'));
  const options = { open, onChange: () => {} };
  const connection = new Subconnection({ kind: 'unix', path: '/a' }, options);
  connection.connect();
  await until(() => connection.state === 'transient_failure');
  assert.equal(timers(), 1);

  await connection.close(new GitalyError('CANCELLED', 'closing'));

  assert.equal(timers(), 0);
});

test('a wait that ends early leaves no timer', async (context) => {
  const timers = openTimers(context);
  const deadline = new Date(Date.now() + 60_000);

  await new WaitLimit({ signal: undefined, deadline }).run(async () => {});
  const ready = { state: 'ready', waitForTransport: async () => {} };
  await waitUntilReady(ready as unknown as Balancer, { timeoutMs: 60_000 });

  assert.equal(timers(), 0);
});
