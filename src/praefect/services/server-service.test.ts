import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { createLogger } from '#platform/log/logger';
import { callable } from '#rpc/common/grpc/grpc-method';
import { connectTo, only } from '#testkit/clients/in-process-rpc';
import {
  DiskStatisticsResponseSchema,
  ServerInfoResponseSchema,
  ServerService,
  ServerSignatureResponseSchema,
} from '#wire/gen/server_pb';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { type ServerServiceOptions, serverService } from './server-service.ts';

const serverInfo = callable(ServerService.method.serverInfo);
const diskStatistics = callable(ServerService.method.diskStatistics);
const readinessCheck = callable(ServerService.method.readinessCheck);
const serverSignature = callable(ServerService.method.serverSignature);

/** Responses of a node; an error in place of one fails the call. */
interface Responses {
  readonly info?: MessageInitShape<typeof ServerInfoResponseSchema> | Error;
  readonly disks?: MessageInitShape<typeof DiskStatisticsResponseSchema> | Error;
  readonly signature?: string | Error;
}

function node(storage: string, { info = {}, disks = {}, signature = '' }: Responses): GitalyNode {
  const answer = async <T extends Message>(response: T | Error): Promise<T> => {
    if (response instanceof Error) throw response;
    return response;
  };
  const server = {
    serverInfo: () => answer(info instanceof Error ? info : create(ServerInfoResponseSchema, info)),
    diskStatistics: () =>
      answer(disks instanceof Error ? disks : create(DiskStatisticsResponseSchema, disks)),
    serverSignature: () =>
      answer(
        signature instanceof Error
          ? signature
          : create(ServerSignatureResponseSchema, { publicKey: Buffer.from(signature) }),
      ),
  };
  // All that the service uses of a node.
  return { storage, connection: { server } } as unknown as GitalyNode;
}

function start(nodes: Record<string, readonly GitalyNode[]>, options: Partial<ServerServiceOptions> = {}) {
  const log: string[] = [];
  const logger = createLogger({ format: 'json', level: 'info', stream: { write: (line) => log.push(line) } });
  const service = serverService({
    nodes: new Map(Object.entries(nodes)),
    isHealthy: () => true,
    failedChecks: async () => new Map(),
    logger,
    ...options,
  });
  const server = connectTo({ services: [service] });
  return { log, channel: server.channel, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

const status = (storageName: string) => ({ storageName, readable: true, writeable: true });
const info = (storage: string) => ({
  serverVersion: '19.0.0',
  gitVersion: '2.53.0',
  storageStatuses: [status('other'), status(storage)],
});

test('a virtual storage looks like the storage of a healthy node, with an id by its name', async () => {
  const healthy = node('b', { info: info('b') });
  const failing = node('a', { info: new Error('down') });
  await using praefect = start(
    { default: [failing, healthy], single: [node('c', { info: info('c') })], broken: [failing], none: [] },
    { isHealthy: (each) => each === healthy },
  );

  const response = await only(praefect.channel.invoke(serverInfo, [{}]));

  assert.deepEqual([response.serverVersion, response.gitVersion], ['19.0.0', '2.53.0']);
  assert.deepEqual(
    response.storageStatuses.map(({ storageName, replicationFactor, filesystemId, readable }) => [
      storageName,
      replicationFactor,
      filesystemId,
      readable,
    ]),
    [
      // As Python's uuid5 computes it in the namespace of Praefect.
      ['default', 2, 'd9f04423-6b13-5949-9ffa-c06279e0796e', true],
      ['single', 1, '', true],
    ],
  );
  assert.match(praefect.log.join(''), /error getting server info.*/);
  assert.equal(praefect.log.length, 1);
});

test('a cluster of which no node answers has no versions', async () => {
  await using praefect = start({ default: [node('a', { info: new Error('down') })] });

  const response = await only(praefect.channel.invoke(serverInfo, [{}]));

  assert.deepEqual([response.serverVersion, response.gitVersion, response.storageStatuses], ['', '', []]);
});

test('disk statistics are those of all nodes, and fail with any of them', async () => {
  const disks = (storageName: string) => ({ storageStatuses: [{ storageName, available: 1n, used: 2n }] });
  const nodes = ['a', 'b'].map((storage) => node(storage, { disks: disks(storage) }));
  await using praefect = start({ default: nodes });
  const { storageStatuses } = await only(praefect.channel.invoke(diskStatistics, [{}]));
  assert.deepEqual(
    storageStatuses.map(({ storageName }) => storageName),
    ['a', 'b'],
  );

  const broken = node('c', { disks: new GitalyError('UNAVAILABLE', 'down') });
  await using other = start({ default: [...nodes, broken] });
  await assert.rejects(only(other.channel.invoke(diskStatistics, [{}])), {
    message: 'error when requesting disk statistics from internal storage c',
  });
});

test('readiness names the checks that failed, within the time of the caller', async () => {
  const limits: number[] = [];
  let failures = new Map<string, string>();
  const failedChecks = async (timeoutMs: number) => {
    limits.push(timeoutMs);
    return failures;
  };
  await using praefect = start({}, { failedChecks });
  const check = async (request: object) =>
    (await only(praefect.channel.invoke(readinessCheck, [request]))).Result;

  assert.equal((await check({})).case, 'okResponse');
  failures = new Map([['clock', 'late']]);
  const failed = await check({ timeout: { seconds: 2n, nanos: 500_000_000 } });
  assert.equal((await check({ timeout: { seconds: 0n, nanos: 0 } })).case, 'failureResponse');

  assert.partialDeepStrictEqual(failed, {
    case: 'failureResponse',
    value: { failedChecks: [{ name: 'clock', errorMessage: 'late' }] },
  });
  assert.deepEqual(limits, [30_000, 2500, 30_000]);
});

test('the key of a cluster is that of all nodes', async () => {
  const sign = async (...signatures: readonly (string | Error)[]) => {
    const nodes = signatures.map((signature, index) => node(`n${index}`, { signature }));
    await using praefect = start({ default: nodes });
    return Buffer.from((await only(praefect.channel.invoke(serverSignature, [{}]))).publicKey).toString();
  };

  assert.equal(await sign('key', 'key'), 'key');
  assert.equal(await sign(), '');
  await assert.rejects(sign('key', 'key', 'other'), {
    message: 'signature mismatch with Praefect storage "n2"',
  });
  await assert.rejects(sign('key', new GitalyError('UNAVAILABLE', 'down')), {
    code: 'UNAVAILABLE',
    message: /^request signature from Praefect storage "n1": .*down$/,
  });
});
