import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ClientChannel, ConnectConfig } from 'ssh2';
import ssh2 from 'ssh2';
import { type SshGateway, type SshGatewayOptions, startSshGateway, storageMapping } from '#gateway/index';
import { closed } from '../faults/closed.ts';
import { runGit } from '../repositories/run-git.ts';
import { startGitaly, type TestGitaly } from '../start-gitaly.ts';

export const ALLOW_EVERYBODY = { everybody: { glId: 'user-1', username: 'git' } };

export interface Opened extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly gateway: SshGateway;
  readonly directory: string;
  readonly failures: readonly unknown[];
}

/** Starts a server with `a.git`, one commit on `main`, and a gateway in front of it. */
export async function startGateway(options: Partial<SshGatewayOptions> = {}): Promise<Opened> {
  const directory = mkdtempSync(join(tmpdir(), 'ssh-gateway-'));
  const gitaly = await startWithCommit();
  const failures: unknown[] = [];
  const gateway = await startSshGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    hostKeyPath: join(directory, 'host-key'),
    access: ALLOW_EVERYBODY,
    onFailure: (error) => failures.push(error),
    ...options,
  }).catch(async (error) => {
    await gitaly[Symbol.asyncDispose]();
    throw error;
  });
  return {
    gitaly,
    gateway,
    directory,
    failures,
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await gitaly[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const exits = new WeakMap<ClientChannel, Promise<unknown[]>>();

export interface Client extends AsyncDisposable {
  readonly connection: ssh2.Client;
  exec(command: string, env?: Record<string, string>): Promise<ClientChannel>;
}

/** Logs in with ssh2's client. @throws {Error} the client's error when the login is refused. */
export async function logIn(
  gateway: Pick<SshGateway, 'host' | 'port'>,
  config: ConnectConfig = {},
): Promise<Client> {
  const connection = new ssh2.Client();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  connection.once('ready', resolve).on('error', reject);
  connection.once('close', () => reject(new Error('closed')));
  connection.connect({ host: gateway.host, port: gateway.port, username: 'git', ...config });
  await promise;
  const exec = (command: string, env: Record<string, string> = {}) => {
    const channel = Promise.withResolvers<ClientChannel>();
    connection.exec(command, { env }, (error, opened) => {
      if (error) return channel.reject(error);
      exits.set(opened, once(opened, 'exit')); // it may follow immediately
      channel.resolve(opened);
    });
    return channel.promise;
  };
  return { connection, exec, [Symbol.asyncDispose]: async () => void connection.destroy() };
}

export interface Ended {
  readonly code: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function ended(channel: ClientChannel, input = ''): Promise<Ended> {
  const closed = once(channel, 'close');
  channel.end(input);
  const [stdout, stderr] = await Promise.all([text(channel), text(channel.stderr), closed]);
  const [code] = (await exits.get(channel)) ?? [];
  return { code, stdout, stderr };
}

export const LIST = "git-upload-pack '/a.git'";

export async function assertServes(gateway: SshGateway): Promise<void> {
  await using client = await logIn(gateway);
  const { code, stdout } = await ended(await client.exec(LIST), '0000');
  assert.equal(code, 0);
  assert.match(stdout, /^[0-9a-f]{44} HEAD\0/);
}

/** Opens a raw connection to the port. */
export async function dialGateway(gateway: SshGateway): Promise<Socket> {
  const socket = connect(gateway.port, gateway.host);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Resolves when a connection has ended, for any reason. */
export function connectionClosed(client: Client): Promise<void> {
  client.connection.removeAllListeners('error');
  return closed(client.connection);
}

/** The internals of ssh2's client, for sending what a well-behaved client would not. */
export interface Raw {
  readonly _chanMgr: { add(callback: (error: unknown, channel: ClientChannel) => void): number };
  readonly _protocol: {
    session(id: number, window: number, packetSize: number): void;
    channelData(id: number, data: Buffer): void;
    exec(id: number, command: string, wantReply: boolean): void;
    ping(): void;
    rekey(): void;
  };
  readonly _sock: Socket;
}

// The types of ssh2 omit these fields.
export const rawOf = (client: Client): Raw => client.connection as unknown as Raw;

/**
 * Opens a session with a given window and packet size, and resolves when the server has accepted
 * it.
 */
export async function openSession(
  client: Client,
  window: number,
  packetSize: number,
): Promise<ClientChannel & { outgoing: { id: number } }> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
  const callback = Object.assign(
    (error: unknown, channel: ClientChannel) => (error ? reject(error) : resolve(channel)),
    {
      type: 'session',
    },
  );
  const { _chanMgr, _protocol } = rawOf(client);
  _protocol.session(_chanMgr.add(callback), window, packetSize);
  // ssh2 keeps the ids there
  return (await promise) as ClientChannel & { outgoing: { id: number } };
}

/** Starts a server with the repository `a.git`, which has one commit on `main`, for a gateway. */
export async function startWithCommit(): Promise<TestGitaly> {
  const gitaly = await startGitaly();
  const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'a' };
  await gitaly.connection.repository.createRepository({ repository });
  const path = join(gitaly.storagePath(), 'a.git');
  const tree = await runGit(['-C', path, 'mktree'], { input: '' });
  const commit = await runGit(['-C', path, 'commit-tree', '-m', 'one', tree]);
  await runGit(['-C', path, 'update-ref', 'refs/heads/main', commit]);
  return gitaly;
}
