import assert from 'node:assert/strict';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { certificateSerial } from '#testkit/fixtures/certificate-serial';
import { TEST_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';

const FIXTURES = dirname(TEST_CERTIFICATE);

const serial = ({ tls = '' }: GitalyProcess): Promise<string> => certificateSerial(tls);

async function withOwnCertificate(): Promise<{
  gitaly: GitalyProcess;
  replace: () => void;
  spoil: () => void;
}> {
  const directory = makeScratchDirectory('certificate');
  after(() => rmSync(directory, { recursive: true, force: true }));
  const [certificatePath, keyPath] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  copyFileSync(TEST_CERTIFICATE, certificatePath);
  copyFileSync(TEST_KEY, keyPath);
  return {
    gitaly: await startGitalyProcess({ everyListener: true, tls: { certificatePath, keyPath } }),
    replace: () => {
      copyFileSync(join(FIXTURES, 'tls-other-certificate.pem'), certificatePath);
      copyFileSync(join(FIXTURES, 'tls-other-key.pem'), keyPath);
    },
    spoil: () => writeFileSync(certificatePath, 'no certificate'),
  };
}

test('an unusable certificate is not used, and stops nothing', async () => {
  const { replace, spoil, ...started } = await withOwnCertificate();
  await using gitaly = started.gitaly;
  const connection = await gitaly.connect();
  const first = await serial(gitaly);

  spoil();
  await until(() => gitaly.log().includes('the previous one stays in use'), 'no problem is logged');
  assert.equal(await serial(gitaly), first);

  replace();
  await until(() => gitaly.log().includes('TLS certificate renewed'), 'the certificate is not renewed');
  assert.notEqual(await serial(gitaly), first);
  await connection.server.serverInfo({});

  gitaly.kill('SIGTERM');
  assert.equal(await gitaly.exited, 0, gitaly.log());
});

test('changed files are used without a signal', async () => {
  const { replace, ...started } = await withOwnCertificate();
  await using gitaly = started.gitaly;
  const first = await serial(gitaly);

  replace();

  await until(async () => (await serial(gitaly)) !== first, 'the new certificate is not used');
});
