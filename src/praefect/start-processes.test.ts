import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineLogger } from '#testkit/line-logger';
import { praefectConfigFrom } from './config/load-praefect-config.ts';
import { oneProcessReason, startProcesses } from './start-processes.ts';

const NODES = {
  socket_path: '/x',
  workers: { max: 3n },
  virtual_storage: [{ name: 'default', node: [{ storage: 'one', address: 'unix:/one' }] }],
};
const IN_MEMORY = {
  memory_queue_enabled: true,
  i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: true,
  failover: { election_strategy: 'local', bootstrap_interval: '1ms', monitor_interval: '1h' },
};

test('several processes need a database', () => {
  const reasonOf = (keys: object): string | undefined =>
    oneProcessReason(praefectConfigFrom({ ...NODES, ...keys }).config);

  assert.equal(reasonOf({ database: { host: '/x' } }), undefined);
  assert.match(reasonOf(IN_MEMORY) ?? '', /in memory/);
});

test('a Praefect whose state is in memory starts one process and logs why', async () => {
  const { lines: log, logger } = lineLogger();
  const { config } = praefectConfigFrom({
    ...NODES,
    ...IN_MEMORY,
    socket_path: '',
    listen_addr: '127.0.0.1:0',
  });

  await using _ = await startProcesses({
    config,
    logger,
    log: { hasWorkers: false },
  });

  const warning = log.find(({ msg }) => msg === 'the server runs in one process');
  assert.equal(warning?.key, 'workers.max');
  assert.match(String(warning?.reason), /in memory/);
});
