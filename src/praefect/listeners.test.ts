import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { dialSidechannel, SidechannelRegistry } from '#client/index';
import { certificateSerial } from '#testkit/fixtures/certificate-serial';
import { TEST_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startSentry } from '#testkit/servers/sentry-server';
import { setVariable } from '#testkit/set-variable';
import { startCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';

const repository = { storageName: 'default', relativePath: 'x.git' };
const directory = makeScratchDirectory('praefect-listeners');
after(() => rmSync(directory, { recursive: true }));

/** Certificate and key that a test may replace, and Praefect's keys for them. */
function ownCertificate() {
  const [certificate, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  copyFileSync(TEST_CERTIFICATE, certificate);
  copyFileSync(TEST_KEY, key);
  return {
    certificate,
    config: {
      listen_addr: 'localhost:0',
      tls_listen_addr: '127.0.0.1:0',
      tls: { certificate_path: certificate, key_path: key },
    },
    replace: () => {
      copyFileSync(join(dirname(TEST_CERTIFICATE), 'tls-other-certificate.pem'), certificate);
      copyFileSync(join(dirname(TEST_CERTIFICATE), 'tls-other-key.pem'), key);
    },
  };
}

test('clients with TLS are served, over plain and multiplexed connections', async (context) => {
  setVariable(context, 'SSL_CERT_FILE', TEST_CERTIFICATE);
  await using cluster = await startCluster({ nodes: 1, config: ownCertificate().config });
  const tls = cluster.server.addresses.find((address) => address.startsWith('tls://')) ?? '';
  await using connection = await dialSidechannel(tls, new SidechannelRegistry());

  await connection.repository.createRepository({ repository });

  const { exists } = await cluster.connection.repository.repositoryExists({ repository });
  assert.equal(exists, true);
  assert.equal(cluster.server.addresses.length, 3);
});

test('a changed certificate is used for new connections, without a restart', async () => {
  const { config, replace } = ownCertificate();
  await using cluster = await startCluster({ nodes: 1, config });
  const tls = cluster.server.addresses.find((address) => address.startsWith('tls://')) ?? '';
  const first = await certificateSerial(new URL(tls).host);

  replace();

  await until(
    async () => (await certificateSerial(new URL(tls).host)) !== first,
    'the new certificate is not used',
  );
});

test('nodes are reached over TLS, and vote there', async (context) => {
  setVariable(context, 'SSL_CERT_FILE', TEST_CERTIFICATE);
  await using cluster = await startCluster({ nodes: 2, gitaly: { tls: true } });

  await cluster.connection.repository.createRepository({ repository });

  const completed = cluster.log.find(({ msg }) => msg === 'transaction completed');
  assert.equal(completed?.['transaction.committed'], '2/2');
  assert.ok(cluster.nodes.every(({ log }) => log.some((line) => line['grpc.method'] === 'CreateRepository')));
});

test('errors of this server are reported to Sentry', async () => {
  await using sentry = await startSentry();
  await using cluster = await startCluster({
    nodes: 1,
    config: { sentry: { sentry_dsn: sentry.dsn, sentry_environment: 'staging' } },
  });

  await assert.rejects(
    cluster.connection.repository.repositorySize({ repository: { ...repository, storageName: 'x' } }),
    { code: 'INVALID_ARGUMENT' },
  );

  await until(() => sentry.requests.length > 0, 'nothing is reported');
  const [{ event } = {}] = sentry.requests;
  assert.equal(event?.environment, 'staging');
  assert.equal(event?.transaction, 'RepositoryService::RepositorySize');
});
