import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import ssh2, { type ConnectConfig } from 'ssh2';
import { makeSshKey, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { ended, LIST, logIn, startGateway } from '#testkit/clients/ssh-gateway-fixture';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { issueToken } from '#tokens/issue';
import { parseScope } from '#tokens/scope';
import { TokenStore } from '#tokens/token-store';
import { TokenVerifier } from '#tokens/token-verifier';
import { authorizedKeysFile, type SshLogin } from '../index.ts';
import { newEd25519Key } from './keys/openssh-key.ts';

test('a callback decides by key, its identity reaches Gitaly, and it may refuse a write', async () => {
  const pair = newEd25519Key();
  const other = newEd25519Key();
  const logins: SshLogin[] = [];
  const known = Buffer.from(pair.public.split(' ')[1] ?? '', 'base64');
  await using opened = await startGateway({
    access: {
      authenticate: (asked) => {
        logins.push(asked);
        return asked.key.data.equals(known) ? { glId: 'user-2', username: 'Änn' } : undefined;
      },
    },
    authorize: ({ identity, operation, path }) =>
      identity.glId === 'user-2' && operation === 'read' && path === 'a.git',
  });

  await assert.rejects(logIn(opened.gateway), /authentication methods failed/);
  await assert.rejects(logIn(opened.gateway, { password: 'git' }), /authentication methods failed/);
  await assert.rejects(logIn(opened.gateway, { privateKey: other.private }), /authentication methods failed/);
  await using client = await logIn(opened.gateway, { privateKey: pair.private, username: 'anyone' });
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

test('a known key is useless without its private key', async () => {
  const known = newEd25519Key();
  const mine = newEd25519Key();
  await using opened = await startGateway({
    access: { authenticate: () => ({ glId: 'user-1', username: 'git' }) },
  });
  const key = ssh2.utils.parseKey(known.public);
  const signer = ssh2.utils.parseKey(mine.private);
  assert.ok(!(key instanceof Error) && !(signer instanceof Error));
  // Offers the known key but signs with another one.
  const forged = Object.assign(Object.create(key), {
    isPrivateKey: () => true,
    sign: signer.sign.bind(signer),
    getPrivatePEM: () => signer.getPrivatePEM(),
  });

  await assert.rejects(
    logIn(opened.gateway, { authHandler: [{ type: 'publickey', username: 'git', key: forged }] as never }),
    /failed/,
  );
});

test('a client that offers too many keys is disconnected', async () => {
  let asked = 0;
  const access = {
    authenticate: () => {
      asked++;
      return undefined;
    },
  };
  await using opened = await startGateway({ access, limits: { maxAuthAttempts: 3 } });
  const authHandler = Array.from({ length: 10 }, () => {
    const { private: key } = newEd25519Key();
    return { type: 'publickey', username: 'git', key };
  }) as unknown as NonNullable<ConnectConfig['authHandler']>; // the library's type lacks these keys

  await assert.rejects(logIn(opened.gateway, { authHandler }));

  assert.ok(asked > 0 && asked <= 4, `${asked} keys were looked at`);
});

test('a callback that fails refuses the login and reports the error', async () => {
  const { private: privateKey } = newEd25519Key();
  await using opened = await startGateway({
    access: { authenticate: () => Promise.reject(new Error('the directory is down')) },
  });

  await assert.rejects(logIn(opened.gateway, { privateKey }), /authentication methods failed/);

  assert.match(String(opened.failures[0]), /the directory is down/);
});

test('weak algorithms are not offered', async () => {
  await using opened = await startGateway();

  for (const algorithms of [
    { cipher: ['aes128-cbc'] },
    { kex: ['diffie-hellman-group1-sha1'] },
    { kex: ['diffie-hellman-group14-sha1'] },
    { compress: ['zlib'] },
  ] as const satisfies readonly ConnectConfig['algorithms'][]) {
    await assert.rejects(logIn(opened.gateway, { algorithms } as ConnectConfig), /no matching/i);
  }
});

test('RSA keys are accepted with SHA-2 and refused with SHA-1', { skip: NO_OPENSSH }, async () => {
  await using opened = await startGateway({
    access: { authenticate: () => ({ glId: 'user-1', username: 'git' }) },
  });
  const { directory, gateway } = opened;
  const key = await makeSshKey(join(directory, 'rsa'), 'rsa', ['-t', 'rsa', '-b', '2048']);
  const hostKeyPath = join(directory, 'host-key');
  const options = await sshArguments({ directory, gateway, hostKeyPath, key: key.path });
  const listing = (algorithm: string) => {
    const args = ['-o', `PubkeyAcceptedAlgorithms=${algorithm}`, ...options, '-p', String(gateway.port)];
    return run('ssh', [...args, `git@${gateway.host}`, LIST], { input: '0000' });
  };

  const [sha2, sha1] = [await listing('rsa-sha2-256'), await listing('ssh-rsa')];

  assert.equal(sha2.code, 0, sha2.stderr);
  assert.equal(sha1.code, 255);
  assert.match(sha1.stderr, /Permission denied/);
});

test('a gateway with an RSA host key signs with SHA-2 only', async () => {
  const { private: key } = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 });
  const directory = makeScratchDirectory('rsa-host');
  const hostKeyPath = join(directory, 'key');
  writeFileSync(hostKeyPath, key, { mode: 0o600 });
  await using opened = await startGateway({ hostKeyPath });

  const connect = (algorithm: 'ssh-rsa' | 'rsa-sha2-256' | 'rsa-sha2-512') =>
    logIn(opened.gateway, { algorithms: { serverHostKey: [algorithm] } });

  await using _256 = await connect('rsa-sha2-256');
  await using _512 = await connect('rsa-sha2-512');
  await assert.rejects(connect('ssh-rsa'), /no matching/i);
  rmSync(directory, { recursive: true });
});

test('a refusal that comes later is one, too', async () => {
  await using opened = await startGateway({
    authorize: async ({ operation }) => {
      await new Promise(setImmediate);
      return operation === 'write';
    },
  });
  await using client = await logIn(opened.gateway);

  const read = await ended(await client.exec(LIST), '0000');
  const written = await ended(await client.exec("git-receive-pack 'a.git'"), '0000');

  assert.deepEqual([read.code, written.code], [1, 0]);
  assert.match(read.stderr, /^remote: You may not read this repository\.$/m);
});

// Whoever kept a connection open used a revoked token for as long as they liked.
test('a revoked token, and a removed key, run no more commands on an open connection', async () => {
  const directory = makeScratchDirectory('ended-logins');
  const store = new TokenStore(join(directory, 'tokens'));
  const tokens = new TokenVerifier({ store });
  await tokens.prepare();
  const scope = parseScope({ access: 'read', repositories: ['a'] });
  const { id, token } = await issueToken(store, { subject: 'ci', scope, lifetimeSeconds: 3600 });
  const pair = newEd25519Key();
  const keysFile = join(directory, 'keys');
  writeFileSync(keysFile, `${pair.public}\n`);
  const { authenticate } = authorizedKeysFile(keysFile);
  await using opened = await startGateway({ access: { authenticate, tokens } });
  await using byToken = await logIn(opened.gateway, { password: token });
  await using byKey = await logIn(opened.gateway, { privateKey: pair.private });
  const list = async () => {
    const runs = [byToken, byKey].map(async (client) => await ended(await client.exec(LIST), '0000'));
    return (await Promise.all(runs)).map(({ code, stderr }) => ({ code, stderr }));
  };
  const before = await list();

  await store.revoke(id);
  writeFileSync(keysFile, '# nobody\n');

  assert.deepEqual(
    before.map(({ code }) => code),
    [0, 0],
  );
  for (const { code, stderr } of await list()) {
    assert.equal(code, 1);
    assert.match(stderr, /^remote: Your key or token is no longer accepted\. Log in again\.$/m);
  }
  rmSync(directory, { recursive: true });
});

// The lines of the file are the numbers of its keys: an edit gave a connection another number.
test('a command has the user that its key has now', async () => {
  const directory = makeScratchDirectory('renewed-logins');
  const pair = newEd25519Key();
  const keysFile = join(directory, 'keys');
  writeFileSync(keysFile, `${pair.public.trim()} before\n`);
  const { authenticate } = authorizedKeysFile(keysFile);
  await using opened = await startGateway({ access: { authenticate } });
  await using client = await logIn(opened.gateway, { privateKey: pair.private });
  await ended(await client.exec(LIST), '0000');

  writeFileSync(keysFile, `${newEd25519Key().public.trim()} another\n${pair.public.trim()} afterwards\n`);
  await ended(await client.exec(LIST), '0000');

  const users = opened.gitaly.log
    .filter((entry) => entry['grpc.method'] === 'SSHUploadPackWithSidechannel')
    .map(({ user_id: id, username }) => [id, username]);
  assert.deepEqual(users, [
    ['key-1', 'before'],
    ['key-2', 'afterwards'],
  ]);
  rmSync(directory, { recursive: true });
});
