import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError } from '#platform/config/config-error';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { loadPraefectConfig, praefectConfigFrom } from './load-praefect-config.ts';
import { problemOfStrategy, strategyOf } from './strategy.ts';

const directory = makeScratchDirectory('praefect-config');
after(() => rmSync(directory, { recursive: true }));

const NODE = { storage: 'gitaly-1', address: 'tcp://a:1' };
const WORKING = { socket_path: '/s', virtual_storage: [{ name: 'default', node: [NODE] }] };
const CONSENT = 'i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning';

async function load(command: string) {
  const program = join(directory, 'command');
  writeFileSync(program, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  const path = join(directory, 'config.toml');
  writeFileSync(
    path,
    `config_command = "${program}"\nlisten_addr = "a:1"\n[[virtual_storage]]\nname = "default"\n` +
      '[[virtual_storage.node]]\nstorage = "gitaly-1"\naddress = "tcp://a:1"\n[auth]\ntransitioning = true\n',
  );
  return await loadPraefectConfig(path);
}

test('config_command overrides keys of the file', async () => {
  const generated = '{"listen_addr": "b:2", "auth": {"token": "secret"}, "yamux": {"accept_backlog": 7}}';
  const { config } = await load(`echo '${generated}'`);

  assert.equal(config.listenAddr, 'b:2');
  assert.equal(config.auth.token?.reveal(), 'secret');
  assert.equal(config.auth.transitioning, true);
  assert.equal(config.yamux.acceptBacklog, 7);
});

test('a config_command that fails, or prints no JSON, prevents the start', async () => {
  await assert.rejects(load('echo problem >&2; exit 3'), {
    message: 'error reading config file: running config command: exit status 3, stderr: "problem\\n"',
  });
  await assert.rejects(load('echo no JSON'), {
    message: /^error reading config file: unmarshalling generated config: /,
  });
  await assert.rejects(load(`echo '{"listen_addr": 5}'`), { message: /^error reading config file: / });
});

test('a file that cannot be read, and a key that does not exist, are named', async () => {
  await assert.rejects(loadPraefectConfig('/nowhere/config.toml'), {
    message: 'error reading config file: open /nowhere/config.toml: no such file or directory',
  });
  assert.throws(() => praefectConfigFrom({ ...WORKING, listen_adr: 'a:1' } as never), {
    message: /^unknown configuration key "listen_adr".*listen_addr/,
  });
});

test('zeros stand for the defaults of 19.0', () => {
  const { config } = praefectConfigFrom({
    ...WORKING,
    graceful_stop_timeout: '0s',
    failover: { bootstrap_interval: '0s', monitor_interval: 0n },
  });

  assert.equal(config.gracefulStopTimeoutMs, 60_000);
  assert.equal(config.failover.bootstrapIntervalMs, 1000);
  assert.equal(config.failover.monitorIntervalMs, 3000);
});

test('nodes of a virtual storage at the same address are reported', () => {
  const other = { ...NODE, storage: 'gitaly-2' };
  const warningsOf = (...ofStorages: object[][]) =>
    praefectConfigFrom({
      ...WORKING,
      virtual_storage: ofStorages.map((node, index) => ({ name: `storage-${index}`, node })),
    }).warnings;

  assert.deepEqual(warningsOf([NODE, other]), [
    {
      message: 'more than one backend node is hosted at same address',
      fields: { conflicting_address: 'tcp://a:1' },
    },
    { message: 'your Praefect configuration may not offer actual redundancy', fields: {} },
  ]);
  // A Gitaly may be a node of several.
  assert.deepEqual(warningsOf([NODE], [NODE]), []);
  assert.deepEqual(warningsOf([NODE], [other]), []);
});

test('other strategies than per_repository need a consent', () => {
  const strategy = (failover: object, more: object = {}) =>
    strategyOf(praefectConfigFrom({ ...WORKING, failover, ...more }).config);
  const perRepository = { name: 'per_repository', failsOver: true, isInMemory: false };
  assert.deepEqual(strategy({ election_strategy: 'sql' }), perRepository);
  assert.deepEqual(strategy({ election_strategy: 'local' }), perRepository);
  assert.deepEqual(strategy({ enabled: false }), { ...perRepository, failsOver: false });
  assert.equal(strategy({ election_strategy: 'sql' }, { [CONSENT]: true }).name, 'sql');
  assert.deepEqual(
    strategy({ election_strategy: 'local' }, { [CONSENT]: true, memory_queue_enabled: true }),
    { name: 'local', failsOver: true, isInMemory: true },
  );
  assert.deepEqual(strategy({ enabled: false }, { memory_queue_enabled: true }), {
    name: 'local',
    failsOver: false,
    isInMemory: true,
  });
});

test('a strategy and the place of its state fit together', () => {
  const problem = (failover: object, more: object = {}) =>
    problemOfStrategy(praefectConfigFrom({ ...WORKING, failover, ...more }).config);
  const consent = { [CONSENT]: true };
  const inMemory = { memory_queue_enabled: true };

  assert.equal(problem({}), undefined);
  assert.equal(problem({ election_strategy: 'sql' }, consent), undefined);
  assert.equal(problem({ election_strategy: 'local' }, { ...consent, ...inMemory }), undefined);
  assert.match(problem({}, inMemory) ?? '', /^memory_queue_enabled = true needs election_strategy = "local"/);
  assert.match(
    problem({ election_strategy: 'sql' }, { ...consent, ...inMemory }) ?? '',
    /^memory_queue_enabled/,
  );
  assert.match(problem({ election_strategy: 'local' }, consent) ?? '', /needs memory_queue_enabled = true/);
});

// Only Praefect's texts were printed, most of which name neither the key nor what is accepted.
test('a wrong configuration is explained: file, key, value, and what is accepted', async () => {
  const node = '[[virtual_storage]]\nname = "a"\n[[virtual_storage.node]]\nstorage = "g"\n';
  const explained = async (document: string): Promise<string> => {
    const path = join(directory, 'wrong.toml');
    writeFileSync(path, document);
    const error = await loadPraefectConfig(path).catch((reason: unknown) => reason);
    assert.ok(error instanceof ConfigError);
    return `${error.message}\n${error.explanation}`.replaceAll(directory, '');
  };

  assert.equal(
    await explained('listen_addr = ":0"\n[replication]\nbatch_size = "many"\n'),
    'error reading config file: toml: cannot decode TOML string into struct field ' +
      'config.Replication.BatchSize of type uint\n  file      /wrong.toml, line 3\n' +
      '  key       replication.batch_size\n  read      "many"\n  accepted  a whole number, 0 or greater',
  );
  assert.match(
    await explained('socket_path = "/s"'),
    /^validating config: no virtual storages configured\n.*\n {2}key {7}virtual_storage\n/,
  );
  assert.match(
    await explained('socket_path = "/s"\n[auth]\ntoken_file = "/none"\n'),
    /^error reading config file: .*\n.*line 3\n {2}key {7}auth.token_file\n/,
  );
  assert.match(
    await explained(`socket_path = "/s"\n${node}address = "127.0.0.1:9999"\n`),
    /"a": address of node "g": invalid connection string: "127.0.0.1:9999": write tcp:\/\/HOST:PORT/,
  );
  assert.match(
    await explained(`listen_addr = "127.0.0.1:99999"\n${node}address = "tcp://g:1"\n`),
    /listen_addr: listen tcp: address 127.0.0.1:99999: invalid port: write HOST:PORT/,
  );
});
