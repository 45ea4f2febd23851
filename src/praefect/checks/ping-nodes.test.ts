import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { serve } from '#rpc/server/handler';
import { listen } from '#testkit/clients/in-process-rpc';
import { setVariable } from '#testkit/set-variable';
import { Health, HealthCheckResponse_ServingStatus as Status } from '#wire/gen/grpc/health/v1/health_pb';
import { ServerService } from '#wire/gen/server_pb';
import { praefectConfigFrom } from '../config/load-praefect-config.ts';
import { pingNodes } from './ping-nodes.ts';

interface Storage {
  readonly storageName: string;
  readonly readable: boolean;
  readonly writeable: boolean;
}

interface Answers {
  readonly health?: Status | Error;
  readonly storages?: readonly Storage[] | Error;
}

const storage = (storageName: string, readable = true, writeable = true): Storage => ({
  ...{ storageName, readable, writeable },
});

/** Starts a server that returns these facts, and records the authorizations of its calls. */
async function startNode({ health = Status.SERVING, storages = [] }: Answers) {
  const authorizations = new Set<string | undefined>();
  const server = await listen({
    services: [
      serve(Health, {
        async check(_, { headers }) {
          authorizations.add(headers.get('authorization')?.replace(/ .*/, ''));
          if (health instanceof Error) throw health;
          return { status: health };
        },
      }),
      serve(ServerService, {
        async serverInfo() {
          if (storages instanceof Error) throw storages;
          return { storageStatuses: [...storages] };
        },
      }),
    ],
  });
  const address = `tcp://127.0.0.1:${server.port}`;
  return { address, authorizations, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

interface NodeTable {
  readonly storage: string;
  readonly address: string;
  readonly token?: string;
}

/** Pings the nodes of virtual storages. */
async function ping(virtualStorages: Readonly<Record<string, readonly NodeTable[]>>) {
  const { config } = praefectConfigFrom({
    socket_path: '/s',
    virtual_storage: Object.entries(virtualStorages).map(([name, node]) => ({
      name,
      node: node.map((each) => ({ ...each })),
    })),
  });
  const lines: string[] = [];
  const failure: unknown = await pingNodes(config, {
    print: (line) => void lines.push(line),
    timeoutMs: 10_000,
  }).catch((error: unknown) => error);
  return { lines, failure: failure instanceof Error ? failure.message : undefined };
}

/** Pings one node that has the storage `a`; returns what it printed after the dialing. */
async function pingOne(answers: Answers) {
  await using node = await startNode(answers);
  const { address } = node;
  const { failure, lines } = await ping({ default: [{ storage: 'a', address }] });
  const prefix = `[${address}]: `;
  assert.deepEqual(lines.slice(0, 3), [
    `${prefix}dialing...`,
    `${prefix}dialed successfully!`,
    `${prefix}checking health...`,
  ]);
  const isFailed = failure !== undefined;
  if (isFailed) assert.equal(failure, `the following nodes are not healthy: ${address}`);
  return { isFailed, printed: lines.slice(3).map((line) => line.slice(prefix.length)) };
}

const HEALTHY = ['SUCCESS: node is healthy!', 'checking consistency...'];
const served = (name: string, virtualStorages = 'default') =>
  `SUCCESS: confirmed Gitaly storage "${name}" in virtual storages [${virtualStorages}] is served`;
const INCONSISTENT = 'ERROR: consistency check failed';
const MISSING = 'ERROR: configured storage was not reported by remote: "a"';

test('a node that serves its storage is healthy; other storages do not matter', async () => {
  assert.deepEqual(await pingOne({ storages: [storage('x', false), storage('a')] }), {
    isFailed: false,
    printed: [...HEALTHY, served('a'), 'SUCCESS: node configuration is consistent!'],
  });
});

test('a node that does not serve is not healthy', async () => {
  assert.deepEqual(await pingOne({ health: Status.NOT_SERVING }), {
    isFailed: true,
    printed: ['ERROR: health check did not report serving, instead reported: NOT_SERVING'],
  });
  assert.deepEqual(await pingOne({ health: new GitalyError('PERMISSION_DENIED', 'no') }), {
    isFailed: true,
    printed: ['ERROR: unable to request health check: rpc error: code = PermissionDenied desc = no'],
  });
});

for (const { name, storages, printed } of [
  {
    name: 'without its state',
    storages: new GitalyError('INTERNAL', 'no'),
    printed: ['ERROR: failed to receive state from the remote: rpc error: code = Internal desc = no'],
  },
  { name: 'without storages', storages: [], printed: ['ERROR: remote has no configured storages'] },
  { name: 'without the storage', storages: [storage('b')], printed: [MISSING] },
  {
    name: 'that cannot read it',
    storages: [storage('a', false)],
    printed: ['ERROR: storage "a" is not readable or writable', MISSING],
  },
  {
    name: 'that cannot write it',
    storages: [storage('a', true, false)],
    printed: ['ERROR: storage "a" is not readable or writable', MISSING],
  },
  {
    name: 'that has it twice',
    storages: [storage('a'), storage('a')],
    printed: [served('a'), 'ERROR: remote has duplicated storage: "a"'],
  },
])
  test(`a node ${name} is not consistent`, async () => {
    assert.deepEqual(await pingOne({ storages }), {
      isFailed: true,
      printed: [...HEALTHY, ...printed, INCONSISTENT],
    });
  });

test('a server with storages of several virtual storages is asked once', async () => {
  await using node = await startNode({ storages: [storage('a'), storage('b')] });
  const { address } = node;

  const { failure, lines } = await ping({
    one: [{ storage: 'a', address, token: 'secret' }],
    two: [
      { storage: 'a', address, token: 'secret' },
      { storage: 'b', address, token: 'secret' },
    ],
  });

  assert.equal(failure, undefined);
  assert.deepEqual(
    lines.slice(5),
    [served('a', 'one two'), served('b', 'two'), 'SUCCESS: node configuration is consistent!'].map(
      (text) => `[${address}]: ${text}`,
    ),
  );
  assert.deepEqual([...node.authorizations], ['Bearer']);
});

test('all nodes that are not healthy are named', async (context) => {
  setVariable(context, 'SSL_CERT_FILE', '/nowhere/a.pem');
  await using node = await startNode({ storages: [storage('a')] });
  const { address } = node;

  const { failure, lines } = await ping({
    default: [
      { storage: 'a', address },
      { storage: 'b', address: 'unix:/nowhere/b' },
      { storage: 'c', address: 'tls://c:1' },
    ],
  });

  assert.equal(failure, 'the following nodes are not healthy: unix:/nowhere/b, tls://c:1');
  const ofC = lines.filter((line) => line.startsWith('[tls://c:1]'));
  assert.equal(ofC[0], '[tls://c:1]: dialing...');
  assert.match(ofC[1] ?? '', /^\[tls:\/\/c:1\]: ERROR: dialing failed: .*\/nowhere\/a\.pem/);
  assert.equal(ofC.length, 2);
  assert.deepEqual([...node.authorizations], [undefined]);
});
