import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import ssh2 from 'ssh2';
import { GitalyError, type StatusCode } from '#base/gitaly-error';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { demultiplex } from '#rpc/server/connection/demultiplexer';
import { GrpcServer } from '#rpc/server/grpc-server';
import { serve } from '#rpc/server/handler';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { startSshGateway, storageMapping } from '../index.ts';

const RULER = '='.repeat(72);
const framed = (message: string) =>
  ['', RULER, '', message, '', RULER, ''].map((line) => `remote: ${line}\n`).join('');

/** Returns the output when Gitaly refuses each of the three calls with an error. */
async function refusals(error: GitalyError): Promise<{ code: unknown; stderr: string }[]> {
  const directory = mkdtempSync(join(tmpdir(), 'ssh-limit-'));
  const refuse = (): never => {
    throw error;
  };
  // biome-ignore lint/correctness/useYield: a stream that fails before its first message
  const refuseStream = async function* () {
    refuse();
  };
  const service = serve(SSHService, {
    sSHUploadPackWithSidechannel: refuse,
    sSHUploadPack: refuseStream,
    sSHReceivePack: refuseStream,
    sSHUploadArchive: refuseStream,
  });
  const server = new GrpcServer({ services: [service] });
  const backchannels = new Backchannels(() => ({ closed: Promise.resolve(), destroy: () => {} }));
  const listener = createServer((socket) => {
    const peer = { transport: 'unix' as const, address: 'test' };
    void demultiplex(socket, peer, {
      backchannels,
      onGrpc: (duplex, from) => server.serveConnection(duplex, from),
    });
  });
  const socket = join(directory, 'gitaly.socket');
  listener.listen(socket);
  await once(listener, 'listening');
  const gateway = await startSshGateway({
    gitaly: { address: `unix:${socket}` },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    hostKeyPath: join(directory, 'key'),
    access: { everybody: { glId: 'user-1', username: 'git' } },
  });
  const client = new ssh2.Client().connect({ host: gateway.host, port: gateway.port, username: 'git' });
  await once(client, 'ready');
  const run = (command: string) =>
    new Promise<{ code: unknown; stderr: string }>((resolve, reject) => {
      client.exec(command, (failure, channel) => {
        if (failure) return reject(failure);
        const exit = once(channel, 'exit');
        channel.resume();
        resolve(Promise.all([exit, text(channel.stderr)]).then(([[code], stderr]) => ({ code, stderr })));
      });
    });
  try {
    return await Promise.all(
      ['upload-pack', 'receive-pack', 'upload-archive'].map((name) => run(`git-${name} 'a.git'`)),
    );
  } finally {
    client.destroy();
    await gateway.close();
    listener.close();
    await server.shutdown({ graceMs: 0 });
    rmSync(directory, { recursive: true, force: true });
  }
}

for (const code of ['UNAVAILABLE', 'RESOURCE_EXHAUSTED'] as const satisfies StatusCode[]) {
  test(`a limit (${code}) is reported with gitlab-shell's text`, async () => {
    const details = [
      create(LimitErrorSchema, { errorMessage: 'maximum queue size reached', retryAfter: { seconds: 0n } }),
    ];

    const told = await refusals(new GitalyError(code, 'maximum queue size reached', { details }));

    const expected = {
      code: 1,
      stderr: framed('GitLab is currently unable to handle this request due to load.'),
    };
    assert.deepEqual(told, [expected, expected, expected]);
  });
}

test("an internal failure is not described, and other failures have Gitaly's message", async () => {
  const internal = await refusals(new GitalyError('INTERNAL', 'the path of something'));
  const other = await refusals(new GitalyError('FAILED_PRECONDITION', 'not now'));

  assert.deepEqual(internal[0], { code: 1, stderr: '' });
  assert.deepEqual(other[0], { code: 1, stderr: framed('not now') });
});
