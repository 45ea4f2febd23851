import assert from 'node:assert/strict';
import { test } from 'node:test';
import { praefectConfigFrom } from './load-praefect-config.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

const { config } = praefectConfigFrom({
  socket_path: '/s',
  virtual_storage: [{ name: 'default', node: [{ storage: 'a', address: 'unix:/a' }] }],
});

test('keys that are not set have the defaults of Gitaly 19.0', () => {
  assert.partialDeepStrictEqual(config, {
    gracefulStopTimeoutMs: MINUTE_MS,
    memoryQueueEnabled: false,
    iUnderstandMyElectionStrategyIsUnsupportedAndWillBeRemovedWithoutWarning: false,
    prometheus: {
      scrapeTimeoutMs: 10 * SECOND_MS,
      grpcLatencyBuckets: [0.001, 0.005, 0.025, 0.1, 0.5, 1, 10, 30, 60, 300, 1500],
    },
    logging: { format: 'text', level: 'info' },
    auth: { transitioning: false },
    failover: {
      enabled: true,
      electionStrategy: 'per_repository',
      bootstrapIntervalMs: SECOND_MS,
      monitorIntervalMs: 3 * SECOND_MS,
      errorThresholdWindowMs: 0,
      readErrorThresholdCount: 0,
      writeErrorThresholdCount: 0,
    },
    replication: { batchSize: 10, parallelStorageProcessingWorkers: 1 },
    reconciliation: {
      schedulingIntervalMs: 5 * MINUTE_MS,
      histogramBuckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    },
    backgroundVerification: { verificationIntervalMs: 168 * HOUR_MS, deleteInvalidRecords: true },
    repositoriesCleanup: {
      checkIntervalMs: 30 * MINUTE_MS,
      runIntervalMs: 24 * HOUR_MS,
      repositoriesInBatch: 16,
    },
    yamux: { maximumStreamWindowSizeBytes: 262_144, acceptBacklog: 256 },
  });
  assert.equal(config.virtualStorage[0]?.defaultReplicationFactor, 0);
});

test('the connection to the database has the defaults of libpq', () => {
  const { password, ...keys } = config.database.sessionPooled;
  const connection = { host: '', port: 0, user: '', dbname: '', sslmode: '' };
  const files = { sslcert: '', sslkey: '', sslrootcert: '' };

  assert.equal(password, undefined);
  assert.deepEqual(keys, { ...connection, ...files });
  assert.partialDeepStrictEqual(config.database, {
    ...connection,
    ...files,
    hostNoProxy: '',
    portNoProxy: 0,
  });
});

test('keys that Gitaly does not have are off, or change nothing for its clients', () => {
  assert.partialDeepStrictEqual(config, {
    routing: { preferLocalReplicas: false },
    transactions: { orderedWrites: true, orderedAcrossPraefects: false },
    events: { enabled: false, maxEvents: 1_000_000, maxAgeMs: 168 * HOUR_MS },
    webhook: [],
    prometheusExcludeDatabaseFromDefaultMetrics: true,
  });
});

test('zeros that represent defaults are replaced, and the scheme of the socket is removed', () => {
  const zeros = praefectConfigFrom({
    socket_path: 'unix:///s',
    graceful_stop_timeout: '0s',
    failover: { bootstrap_interval: '0s', monitor_interval: '0s' },
    virtual_storage: [{ name: 'default', node: [{ storage: 'a', address: 'unix:/a' }] }],
  });

  assert.partialDeepStrictEqual(zeros.config, {
    socketPath: '/s',
    gracefulStopTimeoutMs: config.gracefulStopTimeoutMs,
    failover: {
      bootstrapIntervalMs: config.failover.bootstrapIntervalMs,
      monitorIntervalMs: config.failover.monitorIntervalMs,
    },
  });
});
