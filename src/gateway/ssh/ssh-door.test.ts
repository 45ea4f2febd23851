import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import ssh2, { type ClientChannel, type ConnectConfig } from 'ssh2';
import { runGit } from '#testkit/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { openSshDoor, type SshDoor, type SshDoorOptions, type SshLogin, storageMapping } from '../index.ts';
import { newEd25519Key } from './openssh-key.ts';

const EVERYBODY = { everybody: { glId: 'user-1', username: 'git' } };

interface Opened extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly door: SshDoor;
  readonly directory: string;
  readonly failures: readonly unknown[];
}

/** A server with `a.git`, one commit on `main`, and a door in front of it. */
async function open(options: Partial<SshDoorOptions> = {}): Promise<Opened> {
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

interface Client extends AsyncDisposable {
  readonly connection: ssh2.Client;
  exec(command: string, env?: Record<string, string>): Promise<ClientChannel>;
}

/** Logs in with ssh2's client. @throws {Error} what it says when it does not get in. */
async function login(door: SshDoor, config: ConnectConfig = {}): Promise<Client> {
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

interface Ended {
  readonly code: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
async function ended(channel: ClientChannel, input = ''): Promise<Ended> {
  const closed = once(channel, 'close');
  channel.end(input);
  const [stdout, stderr] = await Promise.all([text(channel), text(channel.stderr), closed]);
  const [code] = (await exits.get(channel)) ?? [];
  return { code, stdout, stderr };
}

const LIST = "git-upload-pack '/a.git'";

async function assertServes(door: SshDoor): Promise<void> {
  await using client = await login(door);
  const { code, stdout } = await ended(await client.exec(LIST), '0000');
  assert.equal(code, 0);
  assert.match(stdout, /^[0-9a-f]{44} HEAD\0/);
}

/** A raw connection to the port. */
async function dial(door: SshDoor): Promise<Socket> {
  const socket = connect(door.port, door.host);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** The end of a connection, however it comes. */
function closing(client: Client): Promise<void> {
  client.connection.removeAllListeners('error').on('error', () => {});
  return new Promise((resolve) => client.connection.once('close', () => resolve()));
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.resume().once('close', () => resolve()));
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let looks = 0; looks < 1000; looks++) {
    if (condition()) return;
    await delay(10);
  }
  throw new Error(`it did not come to this: ${what}`);
}

/** The internals of ssh2's client, to send what a decent client would not. */
interface Raw {
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
const rawOf = (client: Client): Raw => client.connection as unknown as Raw;

/** Opens a session with a window and packet size of our choice, and resolves when the server has agreed. */
async function openSession(
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

test('a command runs, and its exit code and both outputs come back', async () => {
  await using opened = await open();
  await using client = await login(opened.door);

  const listed = await ended(await client.exec(LIST), '0000');
  const second = await ended(await client.exec(LIST, { GIT_PROTOCOL: 'version=2' }), '0000');
  const archive = await ended(await client.exec("git-upload-archive 'a.git'"), '0012argument none\n0000');

  assert.deepEqual([listed.code, listed.stderr], [0, '']);
  assert.match(listed.stdout, /refs\/heads\/main\n0000$/);
  assert.match(second.stdout, /^000eversion 2\n/);
  assert.equal(archive.code, 128);
  assert.match(archive.stderr, /fatal: sent error to the client/);
  assert.deepEqual(opened.failures, []);
});

test('only GIT_PROTOCOL may be set, and only to what it can be', async () => {
  await using opened = await open();
  await using client = await login(opened.door);

  const injected = await ended(await client.exec(LIST, { GIT_PROTOCOL: 'version=2\nx', GIT_DIR: '/', LD_PRELOAD: '/x' }), '0000');

  assert.match(injected.stdout, /^[0-9a-f]{44} HEAD\0/);
  assert.equal(injected.code, 0);
});

test('a session has one command', async () => {
  await using opened = await open();
  await using client = await login(opened.door);
  const channel = await openSession(client, 1 << 20, 32_768);
  const closed = once(channel, 'close');
  const output = text(channel);

  rawOf(client)._protocol.exec(channel.outgoing.id, LIST, false);
  rawOf(client)._protocol.exec(channel.outgoing.id, "git-upload-archive 'a.git'", false);
  channel.end('0000');
  await closed;

  assert.match(await output, /^[0-9a-f]{44} HEAD\0/);
  assert.equal(opened.gitaly.log.filter((line) => line['grpc.method'] === 'SSHUploadArchive').length, 0);
});

test('sessions on one connection have a limit, and come free again', async () => {
  await using opened = await open({ limits: { maxSessions: 2 } });
  await using client = await login(opened.door);
  const [first] = [await client.exec(LIST), await client.exec(LIST)];

  await assert.rejects(client.exec(LIST), /open failure/);
  await ended(first, '0000');

  assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
});

test('nothing but git: no terminal, no files, no forwarding', async () => {
  await using opened = await open();
  await using client = await login(opened.door);
  const asked = (ask: (done: (error: Error | undefined) => void) => void) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    ask((error) => (error ? reject(error) : resolve()));
    return promise;
  };

  await assert.rejects(asked((done) => client.connection.sftp(done)));
  await assert.rejects(asked((done) => client.connection.subsys('netconf', done)));
  await assert.rejects(asked((done) => client.connection.forwardOut('127.0.0.1', 1, '127.0.0.1', opened.door.port, done)));
  await assert.rejects(asked((done) => client.connection.forwardIn('127.0.0.1', 0, done)));
  await assert.rejects(asked((done) => client.connection.exec(LIST, { pty: true }, done)));
});

test('a callback decides by key, its identity reaches Gitaly, and it may refuse a write', async () => {
  const pair = newEd25519Key();
  const other = newEd25519Key();
  const logins: SshLogin[] = [];
  const known = Buffer.from(pair.public.split(' ')[1] ?? '', 'base64');
  await using opened = await open({
    access: {
      authenticate: (asked) => {
        logins.push(asked);
        return asked.key.data.equals(known) ? { glId: 'user-2', username: 'Änn' } : undefined;
      },
    },
    authorize: ({ identity, operation, path }) => identity.glId === 'user-2' && operation === 'read' && path === 'a.git',
  });

  await assert.rejects(login(opened.door), /authentication methods failed/);
  await assert.rejects(login(opened.door, { password: 'git' }), /authentication methods failed/);
  await assert.rejects(login(opened.door, { privateKey: other.private }), /authentication methods failed/);
  await using client = await login(opened.door, { privateKey: pair.private, username: 'anyone' });
  const read = await ended(await client.exec(LIST), '0000');
  const written = await ended(await client.exec("git-receive-pack 'a.git'"), '0000');

  assert.equal(read.code, 0);
  assert.equal(written.code, 1);
  assert.match(written.stderr, /^remote: You may not write this repository\.$/m);
  const { fingerprint, key, remoteAddress, user } = logins.at(-1) ?? {};
  assert.deepEqual([user, key?.type, remoteAddress], ['anyone', 'ssh-ed25519', '127.0.0.1']);
  assert.match(fingerprint ?? '', /^SHA256:[A-Za-z0-9+/]{43}$/);
  const line = opened.gitaly.log.find((entry) => entry['grpc.method'] === 'SSHUploadPackWithSidechannel');
  assert.deepEqual([line?.user_id, line?.username, line?.remote_ip], ['user-2', '?nn', '127.0.0.1']);
});

test('a known key does not help without its private half', async () => {
  const known = newEd25519Key();
  const mine = newEd25519Key();
  await using opened = await open({ access: { authenticate: () => ({ glId: 'user-1', username: 'git' }) } });
  const key = ssh2.utils.parseKey(known.public);
  const signer = ssh2.utils.parseKey(mine.private);
  assert.ok(!(key instanceof Error) && !(signer instanceof Error));
  // Offers the known key and signs with another one.
  const forged = Object.assign(Object.create(key), {
    isPrivateKey: () => true,
    sign: signer.sign.bind(signer),
    getPrivatePEM: () => signer.getPrivatePEM(),
  });

  await assert.rejects(
    login(opened.door, { authHandler: [{ type: 'publickey', username: 'git', key: forged }] as never }),
    /failed/,
  );
});

test('who offers too many keys is cut', async () => {
  let asked = 0;
  const access = {
    authenticate: () => {
      asked++;
      return undefined;
    },
  };
  await using opened = await open({ access, limits: { maxAuthAttempts: 3 } });
  const authHandler = Array.from({ length: 10 }, () => {
    const { private: key } = newEd25519Key();
    return { type: 'publickey', username: 'git', key };
  }) as unknown as NonNullable<ConnectConfig['authHandler']>; // its type has no key of these

  await assert.rejects(login(opened.door, { authHandler }));

  assert.ok(asked > 0 && asked <= 4, `${asked} keys were looked at`);
});

test('a callback that fails lets nobody in, and the operator is told', async () => {
  const { private: privateKey } = newEd25519Key();
  await using opened = await open({ access: { authenticate: () => Promise.reject(new Error('the directory is down')) } });

  await assert.rejects(login(opened.door, { privateKey }), /authentication methods failed/);

  assert.match(String(opened.failures[0]), /the directory is down/);
});

test('who does not log in is not waited for', async () => {
  await using opened = await open({ limits: { loginGraceMs: 200 } });
  const [silent, slow, half] = [await dial(opened.door), await dial(opened.door), await dial(opened.door)];
  const writing = setInterval(() => slow.write('S'), 20);
  half.write('SSH-2.0-slow\r\n');

  await Promise.all([silent, slow, half].map(closed));
  clearInterval(writing);

  await assertServes(opened.door);
});

test('garbage on the port ends that connection alone', async () => {
  await using opened = await open();
  const garbage = [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'SSH-1.5-old\r\n',
    'SSH-2.0-x\r\n'.concat('\xff'.repeat(4096)),
    'SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x14'.concat('\0'.repeat(64)),
    'x'.repeat(100_000),
    'line\r\n'.repeat(5000),
  ];

  await Promise.all(
    garbage.map(async (bytes) => {
      const socket = await dial(opened.door);
      socket.end(Buffer.from(bytes, 'latin1'));
      await closed(socket);
    }),
  );

  await assertServes(opened.door);
  assert.deepEqual(opened.failures, []);
});

test('connections have a limit in total and by address', async () => {
  for (const limits of [{ maxConnections: 2 }, { maxConnectionsPerAddress: 2 }]) {
    await using opened = await open({ limits });
    const sockets = [await dial(opened.door), await dial(opened.door)];

    const refused = await dial(opened.door);
    assert.equal((await buffer(refused)).toString(), 'Too many connections. Try again later.\r\n');
    sockets[0]?.destroy();
    await delay(50);

    await assertServes(opened.door);
    for (const socket of sockets) socket.destroy();
  }
});

test('a connection over which nothing moves is cut', async () => {
  await using opened = await open({ limits: { idleTimeoutMs: 300, loginGraceMs: 300, keepAliveIntervalMs: 50 } });
  await using client = await login(opened.door);
  const closed = closing(client);
  const channel = await client.exec(LIST);
  channel.resume(); // git waits for what the client wants

  await closed;

  await until(() => opened.gitaly.log.some((line) => line['grpc.method'] === 'SSHUploadPackWithSidechannel'), 'the call ended');
});

test('a client that is gone without a word is noticed', async () => {
  await using opened = await open({ limits: { keepAliveIntervalMs: 50 } });
  await using client = await login(opened.door);
  const closed = closing(client);
  rawOf(client)._sock.write = () => true; // nothing leaves it any more

  await closed;
});

test('a client that leaves ends the call', async () => {
  await using opened = await open();
  const client = await login(opened.door);
  const channel = await client.exec(LIST);
  channel.write('00');
  await until(() => channel.readableLength > 0, 'git has answered');

  client.connection.destroy();

  const ofCall = (line: Record<string, unknown>) => line['grpc.method'] === 'SSHUploadPackWithSidechannel';
  await until(() => opened.gitaly.log.some(ofCall), 'the call ended');
  assert.equal(opened.gitaly.log.find(ofCall)?.['grpc.code'], 'Canceled');
  await assertServes(opened.door);
});

test('a channel that the client closes ends the call, and the connection goes on', async () => {
  await using opened = await open();
  await using client = await login(opened.door);
  const channel = await client.exec(LIST);
  await until(() => channel.readableLength > 0, 'git has answered');

  channel.close();

  await until(() => opened.gitaly.log.some((line) => line['grpc.code'] === 'Canceled'), 'the call ended');
  assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
});

test('a client that takes no packets worth the name gets none', async () => {
  await using opened = await open();
  await using client = await login(opened.door);

  for (const packetSize of [0, 1]) {
    const channel = await openSession(client, 1 << 20, packetSize);
    const closed = once(channel.resume(), 'close');
    rawOf(client)._protocol.exec(channel.outgoing.id, LIST, false);
    await closed;
  }

  assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
});

test('both outputs arrive whole through a small window', async () => {
  await using opened = await open();
  await using client = await login(opened.door);
  const channel = await openSession(client, 10, 32_768);
  const outputs = Promise.all([text(channel), text(channel.stderr)]);
  const grow = setInterval(() => windowGrows(client, channel, 7), 1);

  rawOf(client)._protocol.exec(channel.outgoing.id, "git-upload-archive 'a.git'", false);
  channel.end('0012argument none\n0000');
  const [stdout, stderr] = await outputs;
  clearInterval(grow);

  const whole = await ended(await client.exec("git-upload-archive 'a.git'"), '0012argument none\n0000');
  assert.deepEqual([stdout, stderr], [whole.stdout, whole.stderr]);
});

function windowGrows(client: Client, channel: { outgoing: { id: number } }, bytes: number): void {
  const protocol = rawOf(client)._protocol as unknown as { channelWindowAdjust(id: number, bytes: number): void };
  if (!rawOf(client)._sock.destroyed) protocol.channelWindowAdjust(channel.outgoing.id, bytes);
}

test('a client that sends more than the window is cut', async () => {
  await using opened = await open();
  await using client = await login(opened.door);
  const closed = closing(client);
  const channel = await openSession(client, 0, 32_768); // git cannot answer, so it does not read
  rawOf(client)._protocol.exec(channel.outgoing.id, "git-receive-pack 'a.git'", false);

  const data = Buffer.alloc(32_000);
  for (let sent = 0; sent < 64 << 20 && !rawOf(client)._sock.destroyed; sent += data.length) {
    rawOf(client)._protocol.channelData(channel.outgoing.id, data);
    if (sent % (1 << 20) < data.length) await delay(1);
  }

  await closed;
  await assertServes(opened.door);
});

test('a client that asks and asks and does not listen is cut', async () => {
  await using opened = await open();
  await using client = await login(opened.door);
  const closed = closing(client);
  rawOf(client)._sock.pause();

  while (!rawOf(client)._sock.destroyed) {
    for (let i = 0; i < 10_000; i++) rawOf(client)._protocol.ping();
    await delay(1);
    rawOf(client)._sock.pause();
  }

  await closed;
  await assertServes(opened.door);
});

test('an exchange of keys that does not end is not waited for', async () => {
  await using opened = await open({ limits: { loginGraceMs: 500 } });
  await using client = await login(opened.door);
  const closed = closing(client);
  const channel = await openSession(client, 0xffff_ffff, 32_768);
  channel.resume();
  rawOf(client)._protocol.exec(channel.outgoing.id, LIST, false);
  rawOf(client)._protocol.rekey();
  rawOf(client)._sock.write = () => true; // its part of the exchange never comes

  await closed;

  await assertServes(opened.door);
});

test('closing waits for running commands as long as it is told, and for nothing else', async () => {
  await using opened = await open();
  await using idle = await login(opened.door);
  await using busy = await login(opened.door);
  const channel = await busy.exec(LIST);
  await until(() => channel.readableLength > 0, 'git has answered');
  const idleClosed = closing(idle);

  const doorClosed = opened.door.close({ graceMs: 10_000 });
  await idleClosed;
  await assert.rejects(busy.exec(LIST), /open failure/);
  const { code } = await ended(channel, '0000');
  await doorClosed;

  assert.equal(code, 0);
});

test('closing cuts what takes longer', async () => {
  await using opened = await open();
  await using client = await login(opened.door);
  const channel = await client.exec(LIST);
  await until(() => channel.readableLength > 0, 'git has answered');
  const closed = closing(client);

  await opened.door.close({ graceMs: 50 });

  await closed;
});

test('without its server the door says so, and works again with it', async () => {
  await using opened = await open({ gitaly: { address: 'unix:/nowhere/gitaly.socket' } });
  await using client = await login(opened.door);

  const { code, stderr } = await ended(await client.exec(LIST), '0000');

  assert.equal(code, 1);
  assert.match(stderr, /^remote: The git server, Gitaly, is not available at this time\. Please contact your administrator\.$/m);
  assert.equal(opened.failures.length, 1);
});

test('the host key is private and stays, another one that is there is used, others are refused with a reason', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ssh-door-keys-'));
  const [made, rsa, bad, open644] = ['made', 'rsa', 'bad', 'open'].map((name) => join(directory, name));
  assert.ok(made && rsa && bad && open644);
  try {
    const fingerprints: string[] = [];
    for (const hostKeyPath of [made, made]) {
      await using opened = await open({ hostKeyPath });
      fingerprints.push(opened.door.fingerprint);
      await assertServes(opened.door);
    }
    assert.equal(fingerprints[0], fingerprints[1]);
    assert.equal(statSync(made).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['made']);

    writeFileSync(rsa, ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 }).private, { mode: 0o600 });
    await using other = await open({ hostKeyPath: rsa });
    await assertServes(other.door);

    const opening = (hostKeyPath: string) =>
      openSshDoor({
        gitaly: { address: 'unix:/nowhere' },
        listen: { host: '127.0.0.1', port: 0 },
        mapping: storageMapping('default'),
        access: EVERYBODY,
        hostKeyPath,
      });
    writeFileSync(bad, 'no key', { mode: 0o600 });
    await assert.rejects(opening(bad), /is no private key without a passphrase/);
    writeFileSync(open644, readFileSync(made));
    chmodSync(open644, 0o644);
    await assert.rejects(opening(open644), /chmod 600/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('weak algorithms are not offered', async () => {
  await using opened = await open();

  for (const algorithms of [
    { cipher: ['aes128-cbc'] },
    { kex: ['diffie-hellman-group1-sha1'] },
    { kex: ['diffie-hellman-group14-sha1'] },
    { compress: ['zlib'] },
  ] as const satisfies readonly ConnectConfig['algorithms'][]) {
    await assert.rejects(login(opened.door, { algorithms } as ConnectConfig), /no matching/i);
  }
});
