import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import ssh2 from 'ssh2';
import { assertServes, connectionClosed, EVERYBODY, ended, LIST, logIn, openDoor } from '#testkit/ssh-door-fixture';
import { until } from '#testkit/until';
import { openSshDoor, storageMapping } from '../index.ts';

test('a command runs, and its exit code and both outputs come back', async () => {
  await using opened = await openDoor();
  await using client = await logIn(opened.door);

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
  await using opened = await openDoor();
  await using client = await logIn(opened.door);

  const injected = await ended(await client.exec(LIST, { GIT_PROTOCOL: 'version=2\nx', GIT_DIR: '/', LD_PRELOAD: '/x' }), '0000');

  assert.match(injected.stdout, /^[0-9a-f]{44} HEAD\0/);
  assert.equal(injected.code, 0);
});

test('nothing but git: no terminal, no files, no forwarding', async () => {
  await using opened = await openDoor();
  await using client = await logIn(opened.door);
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

test('a client that leaves ends the call', async () => {
  await using opened = await openDoor();
  const client = await logIn(opened.door);
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
  await using opened = await openDoor();
  await using client = await logIn(opened.door);
  const channel = await client.exec(LIST);
  await until(() => channel.readableLength > 0, 'git has answered');

  channel.close();

  await until(() => opened.gitaly.log.some((line) => line['grpc.code'] === 'Canceled'), 'the call ended');
  assert.equal((await ended(await client.exec(LIST), '0000')).code, 0);
});

test('closing waits for running commands as long as it is told, and for nothing else', async () => {
  await using opened = await openDoor();
  await using idle = await logIn(opened.door);
  await using busy = await logIn(opened.door);
  const channel = await busy.exec(LIST);
  await until(() => channel.readableLength > 0, 'git has answered');
  const idleClosed = connectionClosed(idle);

  const doorClosed = opened.door.close({ graceMs: 10_000 });
  await idleClosed;
  await assert.rejects(busy.exec(LIST), /open failure/);
  const { code } = await ended(channel, '0000');
  await doorClosed;

  assert.equal(code, 0);
});

test('closing cuts what takes longer', async () => {
  await using opened = await openDoor();
  await using client = await logIn(opened.door);
  const channel = await client.exec(LIST);
  await until(() => channel.readableLength > 0, 'git has answered');
  const closed = connectionClosed(client);

  await opened.door.close({ graceMs: 50 });

  await closed;
});

test('without its server the door says so, and works again with it', async () => {
  await using opened = await openDoor({ gitaly: { address: 'unix:/nowhere/gitaly.socket' } });
  await using client = await logIn(opened.door);

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
      await using opened = await openDoor({ hostKeyPath });
      fingerprints.push(opened.door.fingerprint);
      await assertServes(opened.door);
    }
    assert.equal(fingerprints[0], fingerprints[1]);
    assert.equal(statSync(made).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['made']);

    writeFileSync(rsa, ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 }).private, { mode: 0o600 });
    await using other = await openDoor({ hostKeyPath: rsa });
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
