import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { type NameServer, startNameServer } from '#testkit/name-server';
import { never, steady } from '#testkit/until';
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

test('an IP literal needs no name server', async () => {
  using watched = watch({ host: '::1', port: 1, nameServer: undefined });

  await watched.reached(1);

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

  await steady(() => server.questions); // it has sixteen more in 100 ms otherwise
});
