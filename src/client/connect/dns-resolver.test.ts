import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { type NameServer, startNameServer } from '#testkit/servers/name-server';
import { never, steady, until } from '#testkit/until';
import type { HostAndPort } from './address.ts';
import { DnsResolver, type DnsResolverOptions } from './dns-resolver.ts';

interface Watched extends Disposable {
  readonly lists: string[][];
  readonly errors: string[];
  readonly resolver: DnsResolver;
  /** Resolves when that many lists and errors have arrived. */
  reached(count: number): Promise<void>;
}

function watch(
  target: HostAndPort & { nameServer: HostAndPort | undefined },
  options?: DnsResolverOptions,
): Watched {
  const lists: string[][] = [];
  const errors: string[] = [];
  const events = new EventTarget();
  const note = () => events.dispatchEvent(new Event('change'));
  const resolver = new DnsResolver(
    target,
    {
      onAddresses: (addresses) => {
        lists.push(addresses.map(({ host, port }) => `${host} ${port}`));
        note();
      },
      onError: (error) => {
        errors.push(error.message);
        note();
      },
    },
    options,
  );
  return {
    lists,
    errors,
    resolver,
    reached: async (count) => {
      while (lists.length + errors.length < count)
        await once(events, 'change', { signal: AbortSignal.timeout(10_000) });
    },
    [Symbol.dispose]: () => resolver[Symbol.dispose](),
  };
}

const asking = ({ port }: NameServer) => ({
  host: 'gitaly.example',
  port: 9999,
  nameServer: { host: '127.0.0.1', port },
});

test('a name server on any address of this machine is asked on loopback', async () => {
  await using server = await startNameServer(['127.0.0.7']);
  const nameServer = { host: '0.0.0.0', port: server.port };
  using watched = watch({ host: 'gitaly.example', port: 9999, nameServer }, { lookupTimeoutMs: 1000 });

  await watched.reached(1);

  assert.deepEqual([watched.lists, watched.errors], [[['127.0.0.7 9999']], []]);
});

test('an IP literal needs no name server, and is not resolved again', async (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  using watched = watch({ host: '::1', port: 1, nameServer: undefined }, { refreshMs: 1000 });
  await watched.reached(1);

  context.mock.timers.tick(1000);
  await never(() => watched.lists.length > 1);

  assert.deepEqual(watched.lists, [['::1 1']]);
});

test('a name is resolved repeatedly, so that changes are noticed', async () => {
  await using server = await startNameServer(['127.0.0.1', '127.0.0.2']);
  using watched = watch(asking(server), { refreshMs: 20 });
  await watched.reached(2);

  server.addresses = ['127.0.0.3'];
  const before = watched.lists.length;
  await watched.reached(before + 2); // the running lookup may still have the old result

  assert.deepEqual(watched.lists[0], ['127.0.0.1 9999', '127.0.0.2 9999']);
  assert.deepEqual(watched.lists.at(-1), ['127.0.0.3 9999']);
});

test('a name that does not exist has no addresses, which is not an error', async () => {
  await using server = await startNameServer([]);
  using watched = watch(asking(server));

  await watched.reached(1);

  assert.deepEqual([watched.lists, watched.errors], [[[]], []]);
});

// Calls failed for five minutes after a name was missing for a moment.
test('a name without addresses is queried again after a pause', async () => {
  await using server = await startNameServer([]);
  using watched = watch(asking(server));
  await watched.reached(1);

  server.addresses = ['127.0.0.1'];
  await watched.reached(2); // about a second later

  assert.deepEqual(watched.lists, [[], ['127.0.0.1 9999']]);
});

test('a failing name server is an error, and is queried again after a pause', async () => {
  await using server = await startNameServer(['127.0.0.1']);
  server.addresses = undefined;
  using watched = watch(asking(server), { lookupTimeoutMs: 1000 });
  await watched.reached(1);
  assert.match(
    watched.errors[0] ?? '',
    /^dns: record resolve error: query(A|Aaaa) ESERVFAIL gitaly\.example$/,
  );

  server.addresses = ['127.0.0.1'];
  await watched.reached(2); // about a second later

  assert.deepEqual(watched.lists, [['127.0.0.1 9999']]);
});

test('repeated hints do not flood the name server', async () => {
  await using server = await startNameServer(['127.0.0.1']);
  using watched = watch(asking(server));
  await watched.reached(1);

  for (let i = 0; i < 100; i++) watched.resolver.lookAgain();

  await never(() => watched.lists.length > 1);
});

test('a disposed resolver stops', async (context: TestContext) => {
  await using server = await startNameServer(['127.0.0.1']);
  const watched = watch(asking(server), { refreshMs: 5 });
  context.after(() => watched[Symbol.dispose]());
  await watched.reached(2);

  watched[Symbol.dispose]();

  await steady(() => server.questions); // without the limit it has sixteen more in 100 ms
});

const MIN_INTERVAL_MS = 5000;

test('a hint is followed after five seconds, and the interval starts again', async (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.now() });
  const { timers } = context.mock;
  await using server = await startNameServer(['127.0.0.1']);
  using watched = watch(asking(server), { refreshMs: 4 * MIN_INTERVAL_MS });
  await watched.reached(1);

  timers.tick(MIN_INTERVAL_MS - 1);
  watched.resolver.lookAgain();
  await never(() => watched.lists.length > 1, 'a lookup before five seconds');
  timers.tick(1);
  watched.resolver.lookAgain();
  await watched.reached(2);

  timers.tick(4 * MIN_INTERVAL_MS - 1); // the first interval has ended
  await never(() => watched.lists.length > 2, 'a lookup at the end of the first interval');
  timers.tick(1);
  await watched.reached(3);
});

test('by default a name is resolved again after five minutes', async (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  await using server = await startNameServer(['127.0.0.1']);
  using watched = watch(asking(server));
  await watched.reached(1);

  context.mock.timers.tick(5 * 60_000 - 1);
  await never(() => watched.lists.length > 1);
  context.mock.timers.tick(1);

  await watched.reached(2);
});

test('pauses after failures grow by half, and a success makes them short again', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { timers } = context.mock;
  context.mock.method(Math, 'random', () => 0.5); // no jitter
  await using server = await startNameServer(['127.0.0.1']);
  server.addresses = undefined;
  using watched = watch(asking(server), { refreshMs: MIN_INTERVAL_MS });
  const fails = async (times: number, pauseMs: number): Promise<void> => {
    timers.tick(pauseMs - 1);
    await never(() => watched.errors.length >= times, `failure ${times} before its pause`);
    timers.tick(1);
    await watched.reached(times + watched.lists.length);
  };
  await watched.reached(1);

  await fails(2, 1000);
  await fails(3, 1500);
  server.addresses = ['127.0.0.1'];
  timers.tick(2250);
  await watched.reached(4);
  server.addresses = undefined;
  await fails(4, MIN_INTERVAL_MS);
  await fails(5, 1000);

  assert.deepEqual(watched.lists, [['127.0.0.1 9999']]);
});

test('a result or an error that arrives after the end is dropped', async () => {
  await using working = await startNameServer(['127.0.0.1']);
  await using broken = await startNameServer(['127.0.0.1']);
  broken.addresses = undefined;
  const watched = [watch(asking(working)), watch(asking(broken))];

  for (const each of watched) each[Symbol.dispose]();

  await until(() => working.questions > 0 && broken.questions > 0);
  await never(() => watched.some(({ lists, errors }) => lists.length + errors.length > 0));
});

test('a name server may be given by a name', async () => {
  await using server = await startNameServer(['127.0.0.7']);
  const nameServer = { host: '127.1', port: server.port }; // no IP literal; the system knows it
  using watched = watch({ host: 'gitaly.example', port: 9999, nameServer }, { lookupTimeoutMs: 1000 });

  await watched.reached(1);

  assert.deepEqual([watched.lists, watched.errors], [[['127.0.0.7 9999']], []]);
});

test("without a name server the system's resolver is used, with the hosts file", async () => {
  using watched = watch({ host: 'localhost', port: 9999, nameServer: undefined });
  using unknown = watch({ host: 'no..name', port: 9999, nameServer: undefined });

  await watched.reached(1);
  await unknown.reached(1);

  const expected = await lookup('localhost', { all: true, order: 'verbatim' });
  assert.deepEqual(watched.lists, [expected.map(({ address }) => `${address} 9999`)]);
  assert.deepEqual([unknown.lists, unknown.errors], [[[]], []]);
});

test("a lookup by the system's resolver has a time limit", async (context: TestContext) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const lookupTimeoutMs = 100;
  using watched = watch({ host: 'localhost', port: 9999, nameServer: undefined }, { lookupTimeoutMs });

  context.mock.timers.tick(lookupTimeoutMs);
  await watched.reached(1);

  assert.deepEqual(watched.errors, ['dns: record resolve error: lookup localhost: i/o timeout']);
});
