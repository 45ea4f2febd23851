import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';

const directory = makeScratchDirectory('praefect');
after(() => rmSync(directory, { recursive: true }));

const PROGRAM = join(import.meta.dirname, 'praefect.ts');
const NODES = `
socket_path = "${directory}/praefect.socket"
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "gitaly-1"
address = "unix:/run/gitaly-1.socket"
[[virtual_storage.node]]
storage = "gitaly-22"
address = "tcp://localhost:8075"
`;

async function praefect(config: string | undefined, ...args: string[]) {
  const path = join(directory, 'config.toml');
  if (config !== undefined) writeFileSync(path, config);
  const option = config === undefined ? [] : ['-config', path];
  return await run(process.execPath, ['--conditions=source', PROGRAM, ...option, ...args]);
}

test('list-storages prints a table', async () => {
  const { stdout, code } = await praefect(NODES, 'list-storages');
  assert.equal(code, 0);
  assert.deepEqual(stdout.split('\n'), [
    'VIRTUAL_STORAGE  NODE       ADDRESS',
    'default          gitaly-1   unix:/run/gitaly-1.socket',
    'default          gitaly-22  tcp://localhost:8075',
    '',
  ]);
  const none = await praefect(NODES, 'list-storages', '--virtual-storage', 'other');
  assert.equal(none.stdout, 'No virtual storages named other.\n');
  assert.equal(none.code, 0);
});

test('a configuration is refused with the reason', async () => {
  const refused = async (config: string, text: RegExp): Promise<void> => {
    const { stderr, code } = await praefect(config);
    assert.match(stderr, text);
    assert.equal(code, 1);
  };
  await refused('', /validating config: no listen address or socket path configured/);
  await refused('socket_path = "/x"', /validating config: no virtual storages configured/);
  await refused('socket_path = ', /error reading config file: /);
  await refused(NODES.replace('gitaly-22', 'gitaly-1'), /internal gitaly storages are not unique/);
  await refused(`[failover]\nelection_strategy = "x"\n${NODES}`, /listen address/);
  await refused(
    `${NODES}\n[failover]\nelection_strategy = "x"`,
    /validating config: invalid election strategy: "x"/,
  );
  const understood =
    'i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning = true\n';
  const elected = (strategy: string) => `${understood}${NODES}[failover]\nelection_strategy = "${strategy}"`;
  await refused(elected('local'), /election_strategy = "local" needs memory_queue_enabled = true/);
  await refused(elected('sql'), /election_strategy = "sql" is not supported: use "per_repository"/);
  await refused(
    NODES.replace('name = "default"', 'name = "default"\ndefault_replication_factor = 3'),
    /has a default replication factor \(3\) which is higher than the number of storages \(2\)/,
  );
  await refused(
    `${NODES}[repositories_cleanup]\nrun_interval = "1s"`,
    /repositories_cleanup.run_interval is less then 1m0s/,
  );
});

test('without a configuration it prints help and the missing flag', async () => {
  const { stderr, code } = await praefect(undefined);
  assert.match(stderr, /Usage: praefect/);
  assert.match(stderr, /Required flag "config" not set/);
  assert.equal(code, 2);
});
