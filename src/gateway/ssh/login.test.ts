import assert from 'node:assert/strict';
import { test } from 'node:test';
import ssh2, { type ConnectConfig } from 'ssh2';
import { ended, LIST, logIn, startGateway } from '#testkit/ssh-gateway-fixture';
import type { SshLogin } from '../index.ts';
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
