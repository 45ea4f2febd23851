import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Duplex, PassThrough } from 'node:stream';
import { test } from 'node:test';
import { parseConfigOptions } from '#domain/git-service/config-options';
import { noAuthentication, startHttpGateway, storageMapping } from '#gateway/index';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { demultiplex } from '#rpc/server/connection/demultiplexer';
import { Listener } from '#rpc/server/connection/listener';
import { GrpcServer } from '#rpc/server/grpc-server';
import { type Peer, serve } from '#rpc/server/handler';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { parseScope } from '#tokens/scope';
import { RepositoryService } from '#wire/gen/repository_pb';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { linkGitaly } from './gitaly-link.ts';
import type { Identity } from './identity.ts';
import { CommandRunner } from './ssh/command-runner.ts';
import { parseGitCommand } from './ssh/git-command.ts';

const RULED: Identity = {
  glId: 'user-1',
  username: 'ann',
  scope: parseScope({ access: 'write', repositories: ['**'], references: [{ deny: '**' }] }),
};
const UNRULED: Identity = { glId: 'user-1', username: 'ann' };
const TOO_OLD = /The Git server is too old for the rules of this token/;

/**
 * Starts a server that ignores the rules' metadata and accepts each push. Like Gitaly and every
 * version of this server, it refuses settings that git cannot have (recorded in ssh.test.ts).
 */
async function startOldServer() {
  const directory = makeScratchDirectory('old-server');
  const server = new GrpcServer({
    services: [
      serve(RepositoryService, { repositoryExists: () => ({ exists: true }) }),
      serve(SmartHTTPService, {
        async *postReceivePack(requests) {
          for await (const { gitConfigOptions } of requests) parseConfigOptions(gitConfigOptions);
          yield { data: Buffer.from('accepted') };
        },
      }),
      serve(SSHService, {
        async *sSHReceivePack(requests) {
          for await (const { gitConfigOptions } of requests) {
            parseConfigOptions(gitConfigOptions);
            break;
          }
          yield { exitStatus: { value: 0 } };
        },
      }),
    ],
  });
  const path = join(directory, 's');
  const backchannels = new Backchannels<GrpcChannel>((stream) => connectGrpc(stream));
  const onGrpc = (duplex: Duplex, peer: Peer): void => server.serveConnection(duplex, peer);
  const listener = await Listener.listen(
    { transport: 'unix', path },
    { onConnection: (socket, peer) => void demultiplex(socket, peer, { backchannels, onGrpc }) },
  );
  return {
    address: `unix:${path}`,
    async [Symbol.asyncDispose]() {
      await server.shutdown({ graceMs: 0 });
      await listener.destroy();
      rmSync(directory, { recursive: true });
    },
  };
}

test('a server that does not know rules of tokens refuses a push with them over HTTP', async () => {
  await using old = await startOldServer();
  const push = async (identity: Identity): Promise<string> => {
    await using gateway = await startHttpGateway({
      gitaly: old,
      listen: { host: '127.0.0.1', port: 0 },
      mapping: storageMapping('default'),
      authenticator: noAuthentication(identity),
    });
    const headers = { 'content-type': 'application/x-git-receive-pack-request' };
    const options = { method: 'POST', headers, body: '0000' };
    const response = await fetch(`${gateway.url}/a.git/git-receive-pack`, options);
    return `${response.status} ${await response.text()}`;
  };

  assert.match(await push(RULED), /^501 /);
  assert.match(await push(RULED), TOO_OLD);
  assert.equal(await push(UNRULED), '200 accepted');
});

test('a server that does not know rules of tokens refuses a push with them over SSH', async () => {
  await using old = await startOldServer();
  const link = await linkGitaly(old);
  const mapping = storageMapping('default');
  const none = { creator: undefined, authorize: undefined, onFailure: undefined };
  const runner = new CommandRunner({ link, mapping, ...none });
  const push = (identity: Identity): Promise<number> => {
    const command = parseGitCommand("git-receive-pack 'a.git'");
    if ('refusal' in command) throw new Error(command.refusal);
    const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
    const { signal } = new AbortController();
    return runner.run({ command, identity, remoteAddress: '192.0.2.1', gitProtocol: '', io, signal });
  };
  try {
    await assert.rejects(push(RULED), TOO_OLD);
    assert.equal(await push(UNRULED), 0);
  } finally {
    await link.connection.close();
  }
});
