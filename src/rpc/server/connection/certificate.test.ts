import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Secret } from '#base/secret';
import { lineLogger } from '#testkit/line-logger';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type CertificateConfig, followCertificate, readCertificate } from './certificate.ts';
import { Listener } from './listener.ts';
import { openListeners, tcpAddresses } from './open-listeners.ts';

const FIXTURES = join(import.meta.dirname, '../../../testkit/fixtures');
const NOTHING = { onConnection: () => {} };

/** A certificate with its key, in files that a test may change. */
function arrange(context: TestContext) {
  const directory = makeScratchDirectory('certificate');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const [certificatePath, keyPath] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  copyFileSync(join(FIXTURES, 'tls-certificate.pem'), certificatePath);
  copyFileSync(join(FIXTURES, 'tls-key.pem'), keyPath);
  const tls: CertificateConfig = { certificatePath, keyPath, key: undefined, minVersion: 'TLS 1.2' };
  const { lines, logger } = lineLogger();
  return { directory, tls, certificatePath, keyPath, lines, logger };
}

test('certificate and key come from their files, and the key also from the configuration', (context) => {
  const { tls, certificatePath, keyPath } = arrange(context);
  const [certificate, key] = [readFileSync(certificatePath), readFileSync(keyPath)];

  const fromFiles = readCertificate(tls);
  const fromConfig = readCertificate({ ...tls, keyPath: '/no/such', key: new Secret(key.toString()) });

  assert.deepEqual(fromFiles.cert, certificate);
  assert.deepEqual([String(fromFiles.key), String(fromConfig.key)], [key.toString(), key.toString()]);
  assert.deepEqual([fromFiles.minVersion, fromFiles.honorCipherOrder], ['TLSv1.2', true]);
  assert.equal(String(readCertificate({ ...tls, key: new Secret('') }).key), key.toString());
  assert.equal(readCertificate({ ...tls, minVersion: 'TLS 1.3' }).minVersion, 'TLSv1.3');
});

test('a file that is missing is an error with the text of Go', (context) => {
  const { tls } = arrange(context);

  for (const [changed, path] of [
    [{ keyPath: '/no/such' }, '/no/such'],
    [{ certificatePath: '/no/cert' }, '/no/cert'],
    [{ keyPath: undefined }, ''],
  ] as const) {
    assert.throws(() => readCertificate({ ...tls, ...changed }), {
      code: 'INTERNAL',
      message:
        'error reading certificate and key paths: loading x509 keypair: ' +
        `open ${path}: no such file or directory`,
    });
  }
});

test('a changed certificate is renewed and logged, an unusable one is logged', async (context) => {
  const { tls, certificatePath, lines, logger } = arrange(context);
  const addresses = tcpAddresses({ listenAddr: undefined, tlsListenAddr: '127.0.0.1:0', tls });
  const [listener] = await openListeners(addresses, { logger, options: NOTHING });
  assert.ok(listener !== undefined);
  context.after(() => listener.destroy());
  const renewed = context.mock.method(listener, 'renewTls').mock;
  lines.length = 0;

  using followed = await followCertificate(tls, [listener], logger);
  await followed?.renew();
  assert.deepEqual([renewed.callCount(), lines], [0, []]);
  appendFileSync(certificatePath, '\n');
  await followed?.renew();
  const [call] = renewed.calls;
  assert.deepEqual(call?.arguments[0]?.cert, readFileSync(certificatePath));
  writeFileSync(certificatePath, 'no certificate');
  await followed?.renew();

  assert.equal(renewed.callCount(), 1);
  const [info, problem] = lines;
  assert.deepEqual(
    [info?.level, info?.msg, info?.certificate],
    ['info', 'TLS certificate renewed', certificatePath],
  );
  assert.deepEqual(
    [problem?.level, problem?.msg, problem?.certificate],
    ['error', 'the changed TLS certificate cannot be used; the previous one stays in use', certificatePath],
  );
  assert.match(String(problem?.error), /^error reading certificate and key paths: loading x509 keypair: /);
});

test('without a TLS listener no certificate is followed', async (context) => {
  const { logger } = arrange(context);
  const none: CertificateConfig = {
    certificatePath: undefined,
    keyPath: undefined,
    key: undefined,
    minVersion: 'TLS 1.2',
  };
  const listener = await Listener.listen({ transport: 'tcp', host: '127.0.0.1', port: 0 }, NOTHING);
  context.after(() => listener.destroy());

  assert.equal(await followCertificate(none, [listener], logger), undefined);
  assert.equal(await followCertificate(none, [], logger), undefined);
});

test('the addresses of a configuration are those without and with TLS', (context) => {
  const { tls } = arrange(context);

  assert.deepEqual(tcpAddresses({ listenAddr: undefined, tlsListenAddr: '', tls }), []);
  assert.deepEqual(tcpAddresses({ listenAddr: 'localhost:1', tlsListenAddr: '[::1]:2', tls }), [
    { transport: 'tcp', host: 'localhost', port: 1 },
    { transport: 'tls', host: '::1', port: 2, tls: readCertificate(tls) },
  ]);
});

test('listeners open in order and are logged, and a failure closes those that are open', async (context) => {
  const { directory, lines, logger } = arrange(context);
  const path = join(directory, 'socket');
  const options = { logger, options: NOTHING };
  const target = { transport: 'unix', path } as const;
  const [one, other] = await openListeners(
    [target, { transport: 'tcp', host: '127.0.0.1', port: 0 }],
    options,
  );
  assert.ok(one !== undefined && other !== undefined);
  context.after(() => Promise.all([one.destroy(), other.destroy()]));
  assert.deepEqual(
    lines.map(({ address, level, msg, schema }) => ({ address, level, msg, schema })),
    [
      { address: path, level: 'info', msg: 'listening at address', schema: 'unix' },
      { address: other.address, level: 'info', msg: 'listening at address', schema: 'tcp' },
    ],
  );

  const free = join(directory, 'free');
  await assert.rejects(openListeners([{ transport: 'unix', path: free }, target], options), {
    message: `listen unix ${path}: bind: address already in use`,
  });

  const [again] = await openListeners([{ transport: 'unix', path: free }], options);
  await again?.destroy();
});
