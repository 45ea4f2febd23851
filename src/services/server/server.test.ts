import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GnuPg, NO_GPG, NO_SSH_KEYGEN } from '#testkit/programs/signing-tools';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startTimeServer } from '#testkit/servers/time-server';
import { startGitaly } from '#testkit/start-gitaly';

test('ServerInfo tells versions and the state of each storage', async () => {
  await using gitaly = await startGitaly({ storages: ['default', 'second'] });
  rmSync(gitaly.storagePath('second'), { recursive: true });

  const info = await gitaly.connection.server.serverInfo({});

  assert.equal(`git version ${info.gitVersion}`, gitOutput('/', ['version']));
  // Clients compare it with the releases of Gitaly: 0.1.0 looked older than any.
  assert.match(info.serverVersion, /^19\.0\.\d+$/);
  const [first, second] = info.storageStatuses;
  const metadata: unknown = JSON.parse(readFileSync(join(gitaly.storagePath(), '.gitaly-metadata'), 'utf8'));
  assert.deepEqual({ gitaly_filesystem_id: first?.filesystemId }, metadata);
  assert.deepEqual(
    [first?.storageName, first?.readable, first?.writeable, first?.replicationFactor],
    ['default', true, true, 1],
  );
  assert.deepEqual(
    [second?.storageName, second?.readable, second?.writeable, second?.fsType],
    ['second', false, false, 'unknown'],
  );
});

for (const [mode, readable, writeable] of [
  [0o500, true, false],
  [0o300, false, true],
  [0o100, false, false],
] as const)
  test(`ServerInfo reports what the owner of a storage with mode 0${mode.toString(8)} may do`, async () => {
    await using gitaly = await startGitaly();
    const path = gitaly.storagePath();
    chmodSync(path, mode);
    try {
      const { storageStatuses } = await gitaly.connection.server.serverInfo({});

      assert.partialDeepStrictEqual(storageStatuses, [{ readable, writeable }]);
    } finally {
      chmodSync(path, 0o700);
    }
  });

test('DiskStatistics agrees with the file system, and is empty for a missing storage', async () => {
  await using gitaly = await startGitaly({ storages: ['default', 'second'] });
  rmSync(gitaly.storagePath('second'), { recursive: true });

  const { storageStatuses } = await gitaly.connection.server.diskStatistics({});

  const { blocks, bsize } = statfsSync(gitaly.storagePath(), { bigint: true });
  const [first, second] = storageStatuses;
  assert.ok(
    first !== undefined &&
      first.available > 0n &&
      first.used > 0n &&
      first.available + first.used <= blocks * bsize,
  );
  assert.deepEqual([second?.storageName, second?.available, second?.used], ['second', 0n, 0n]);
});

test('ReadinessCheck says that a server that answers is ready', async () => {
  await using gitaly = await startGitaly();

  const { Result } = await gitaly.connection.server.readinessCheck({});

  assert.equal(Result.case, 'okResponse');
});

test('ClockSynced compares with a time server, as both releases of the call do', async () => {
  await using gitaly = await startGitaly();
  await using clock = await startTimeServer(60_000);
  const ntpHost = clock.address;
  const { server } = gitaly.connection;

  assert.equal((await server.clockSynced({ ntpHost, driftThresholdMillis: 120_000n })).synced, true);
  assert.equal((await server.clockSynced({ ntpHost, driftThresholdMillis: 10_000n })).synced, false);
  assert.equal((await server.clockSynced({ ntpHost, driftThreshold: { seconds: 120n } })).synced, true);
  assert.equal((await server.clockSynced({ ntpHost, driftThreshold: { seconds: 10n } })).synced, false);
});

test('ClockSynced says why it could not compare', async () => {
  await using gitaly = await startGitaly();
  const { server } = gitaly.connection;

  await assert.rejects(server.clockSynced({ ntpHost: '127.0.0.1:1', driftThresholdMillis: 1n }), {
    code: 'INTERNAL',
    message: /^query ntp host 127\.0\.0\.1:1: /,
  });
  await assert.rejects(server.clockSynced({ ntpHost: 'x' }), {
    code: 'INVALID_ARGUMENT',
    message: 'proto: invalid nil Duration',
  });
  for (const driftThreshold of [{ seconds: 1n, nanos: -1 }, { nanos: 1e9 }, { seconds: -315_576_000_001n }]) {
    await assert.rejects(server.clockSynced({ ntpHost: 'x', driftThreshold }), {
      code: 'INVALID_ARGUMENT',
      message: /^proto: duration/,
    });
  }
});

for (const type of ['ed25519', 'rsa', 'ecdsa']) {
  test(`ServerSignature tells the public half of an ${type} key`, { skip: NO_SSH_KEYGEN }, async () => {
    await using gitaly = await startGitaly();
    const key = join(gitaly.directory, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', '', '-f', key]);

    await using signing = await startGitaly({ config: { git: { signing_key: key } } });
    const { publicKey } = await signing.connection.server.serverSignature({});

    assert.equal(Buffer.from(publicKey).toString().trim(), readFileSync(`${key}.pub`, 'utf8').trim());
  });
}

test('ServerSignature without a key is empty', async () => {
  await using gitaly = await startGitaly();

  assert.equal((await gitaly.connection.server.serverSignature({})).publicKey.length, 0);
});

test('ServerSignature with a key that is missing, damaged or of OpenPGP is an error', {
  skip: NO_GPG,
}, async () => {
  await using gpg = await GnuPg.create();
  await gpg.makeKey('x@x');
  await using gitaly = await startGitaly();
  const key = join(gitaly.directory, 'key');
  writeFileSync(
    key,
    '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n' +
      '-----END OPENSSH PRIVATE KEY-----\n',
  );

  await using signing = await startGitaly({ config: { git: { signing_key: key } } });
  const { server } = signing.connection;

  await assert.rejects(server.serverSignature({}), {
    code: 'INTERNAL',
    message: /^failed to parse signing key: parse private key: ssh: /,
  });
  writeFileSync(key, Buffer.from('950398', 'hex'));
  await assert.rejects(server.serverSignature({}), {
    message: /^failed to parse signing key: read entity: openpgp: /,
  });
  writeFileSync(key, readFileSync(await gpg.exportKey('x@x')));
  await assert.rejects(server.serverSignature({}), {
    message: 'failed to fetch public key: gpg public key not implemented',
  });
  rmSync(key);
  await assert.rejects(server.serverSignature({}), {
    message: /open file: open .*: no such file or directory$/,
  });
});
