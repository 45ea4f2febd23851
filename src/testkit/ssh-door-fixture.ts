import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import ssh2, { type ClientChannel, type ConnectConfig } from 'ssh2';
import { openSshDoor, type SshDoor, type SshDoorOptions, storageMapping } from '#gateway/index';
import { runGit } from './run-git.ts';
import { startGitaly, type TestGitaly } from './start-gitaly.ts';

export const EVERYBODY = { everybody: { glId: 'user-1', username: 'git' } };

export interface Opened extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly door: SshDoor;
  readonly directory: string;
  readonly failures: readonly unknown[];
}

/** A server with `a.git`, one commit on `main`, and a door in front of it. */
export async function openDoor(options: Partial<SshDoorOptions> = {}): Promise<Opened> {
  const directory = mkdtempSync(join(tmpdir(), 'ssh-door-'));
  const gitaly = await startGitaly();
  const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'a' };
  await gitaly.connection.repository.createRepository({ repository });
  const path = join(gitaly.storagePath(), 'a.git');
  const tree = await runGit(['-C', path, 'mktree'], { input: '' });
  const commit = await runGit(['-C', path, 'commit-tree', '-m', 'one', tree]);
  await runGit(['-C', path, 'update-ref', 'refs/heads/main', commit]);
  const failures: unknown[] = [];
  const door = await openSshDoor({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    hostKeyPath: join(directory, 'host-key'),
    access: EVERYBODY,
    onFailure: (error) => failures.push(error),
    ...options,
  }).catch(async (error) => {
    await gitaly[Symbol.asyncDispose]();
    throw error;
  });
  return {
    gitaly,
    door,
    directory,
    failures,
    async [Symbol.asyncDispose]() {
      await door.close();
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

/** Logs in with ssh2's client. @throws {Error} what it says when it does not get in. */
export async function logIn(door: SshDoor, config: ConnectConfig = {}): Promise<Client> {
  const connection = new ssh2.Client();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  connection.once('ready', resolve).on('error', reject);
  connection.once('close', () => reject(new Error('closed')));
  connection.connect({ host: door.host, port: door.port, username: 'git', ...config });
  await promise;
  const exec = (command: string, env: Record<string, string> = {}) => {
    const channel = Promise.withResolvers<ClientChannel>();
    connection.exec(command, { env }, (error, opened) => {
      if (error) return channel.reject(error);
      exits.set(opened, once(opened, 'exit')); // it may follow at once
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

export async function assertServes(door: SshDoor): Promise<void> {
  await using client = await logIn(door);
  const { code, stdout } = await ended(await client.exec(LIST), '0000');
  assert.equal(code, 0);
  assert.match(stdout, /^[0-9a-f]{44} HEAD\0/);
}

/** A raw connection to the port. */
export async function dialDoor(door: SshDoor): Promise<Socket> {
  const socket = connect(door.port, door.host);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** The end of a connection, however it comes. */
export function connectionClosed(client: Client): Promise<void> {
  client.connection.removeAllListeners('error').on('error', () => {});
  return new Promise((resolve) => client.connection.once('close', () => resolve()));
}

export function socketClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.resume().once('close', () => resolve()));
}

/** The internals of ssh2's client, to send what a decent client would not. */
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

// The types of ssh2 leave these fields out.
export const rawOf = (client: Client): Raw => client.connection as unknown as Raw;

/** Opens a session with a window and packet size of our choice, and resolves when the server has agreed. */
export async function openSession(
  client: Client,
  window: number,
  packetSize: number,
): Promise<ClientChannel & { outgoing: { id: number } }> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
  const callback = Object.assign((error: unknown, channel: ClientChannel) => (error ? reject(error) : resolve(channel)), {
    type: 'session',
  });
  const { _chanMgr, _protocol } = rawOf(client);
  _protocol.session(_chanMgr.add(callback), window, packetSize);
  return (await promise) as ClientChannel & { outgoing: { id: number } }; // ssh2 keeps the ids there
}
