import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runPraefectHere } from '#testkit/praefect/run-praefect';
import { programCommand, sourceCommand } from '#testkit/programs/program-command';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';

const directory = makeScratchDirectory('praefect');
after(() => rmSync(directory, { recursive: true }));

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
  return await run(process.execPath, [...programCommand('praefect'), ...option, ...args]);
}

test('list-storages prints a table', async () => {
  const { stdout, code } = await praefect(NODES, 'list-storages');
  assert.equal(code, 0);
  assert.deepEqual(stdout.split('\n'), [
    ' VIRTUAL_STORAGE  NODE       ADDRESS                   ',
    ' default          gitaly-1   unix:/run/gitaly-1.socket ',
    ' default          gitaly-22  tcp://localhost:8075      ',
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
  await refused(`[failover]\nelection_strategy = "x"\n${NODES}`, /invalid election strategy: "x"/);
  await refused(
    `${NODES}\n[failover]\nelection_strategy = "x"`,
    /validating config: invalid election strategy: "x"/,
  );
  const understood =
    'i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning = true\n';
  const elected = (strategy: string) => `${understood}${NODES}[failover]\nelection_strategy = "${strategy}"`;
  await refused(elected('local'), /election_strategy = "local" needs memory_queue_enabled = true/);
  await refused(`memory_queue_enabled = true\n${elected('sql')}`, /needs election_strategy = "local"/);
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
  const { stdout, stderr, code } = await runPraefectHere();
  assert.match(stdout, /Usage: praefect/);
  assert.match(stderr, /^[\d/]+ [\d:]+ Required flag "config" not set\n$/);
  assert.equal(code, 2);
});

test('a command without a configuration says that there is no file', async () => {
  assert.deepEqual(await praefect(undefined, 'sql-ping'), {
    stdout: '',
    stderr: 'error reading config file: open : no such file or directory\n',
    code: 1,
  });
});

const NOT_A_NUMBER = 'strconv.ParseInt: parsing "abc": invalid syntax';
const NEGATIVE = 'strconv.ParseUint: parsing "-1": invalid syntax';
const TOO_LARGE = 'strconv.ParseInt: parsing "9223372036854775808": value out of range';
for (const [args, problem] of [
  [['dataloss', '--partial'], 'flag provided but not defined: -partial'],
  [['metadata', '--repository-id', 'abc'], `invalid value "abc" for flag -repository-id: ${NOT_A_NUMBER}`],
  [
    ['verify', '-repository-id=9223372036854775808'],
    `invalid value "9223372036854775808" for flag -repository-id: ${TOO_LARGE}`,
  ],
  [
    ['set-replication-factor', '--replication-factor=-1'],
    `invalid value "-1" for flag -replication-factor: ${NEGATIVE}`,
  ],
  [
    ['list-untracked-repositories', '--older-than', 'x'],
    'invalid value "x" for flag -older-than: time: invalid duration "x"',
  ],
  [['check', '-q=maybe'], 'invalid value "maybe" for flag -q: parse error'],
] as const)
  test(`wrong usage has the text of 19.0: ${args.join(' ')}`, async () => {
    const { stderr, code } = await runPraefectHere(...args);
    assert.deepEqual(stderr.split('\n').slice(0, 3), [`Incorrect Usage: ${problem}`, '', problem]);
    assert.equal(code, 1);
  });

test('configuration without a command prints its help', async () => {
  const { stdout, stderr, code } = await runPraefectHere('configuration');
  assert.match(stdout, /validate/);
  assert.deepEqual([stderr, code], ['', 0]);
});

test('configuration validate lists problems as JSON', async () => {
  const validate = (input: string) =>
    run(process.execPath, [...programCommand('praefect'), 'configuration', 'validate'], { input });
  assert.deepEqual(await validate(NODES), { stdout: '', stderr: '', code: 0 });
  const bad = await validate(`
[failover]
election_strategy = "x"
[replication]
batch_size = 0
[repositories_cleanup]
check_interval = "1s"
[[virtual_storage]]
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "gitaly-1"
`);
  assert.equal(bad.code, 2);
  assert.deepEqual(JSON.parse(bad.stdout), {
    errors: [
      { message: 'none of "socket_path", "listen_addr" or "tls_listen_addr" is set' },
      { key: ['replication', 'batch_size'], message: 'not in range: 0 is not greater than or equal to 1' },
      { key: ['failover', 'election_strategy'], message: 'not supported: "x"' },
      {
        key: ['repositories_cleanup', 'check_interval'],
        message: 'not in range: 1s is not greater than or equal to 1m0s',
      },
      { key: ['virtual_storage', '[0]', 'name'], message: 'blank or empty' },
      { key: ['virtual_storage', '[0]', 'node'], message: 'not set' },
      { key: ['virtual_storage', '[1]', 'node', '[0]', 'address'], message: 'blank or empty' },
    ],
  });
  const broken = await validate('socket_path = ');
  assert.equal(broken.code, 2);
  assert.match(broken.stdout, /"message": "line 1 column \d+: /);
});

test('an unknown command is refused with Gitaly’s text', async () => {
  const { stderr, code } = await runPraefectHere('nonsense');
  assert.equal(stderr, "praefect doesn't accept positional arguments\n");
  assert.equal(code, 1);
});

test('help comes without the code of the database, the client and the server', async () => {
  const hook = `
    import { registerHooks } from 'node:module';
    const load = (url, context, next) => (process.stderr.write(url + '\\n'), next(url, context));
    registerHooks({ load });`;

  const { stdout, stderr, code } = await run(process.execPath, [
    `--import=data:text/javascript,${encodeURIComponent(hook)}`,
    ...sourceCommand('praefect'),
    '--help',
  ]);

  assert.equal(code, 0);
  assert.match(stdout, /list-storages/);
  assert.match(stderr, /\/src\/cli\/programs\/praefect-program\.ts\n/);
  const large =
    /\/src\/(?:praefect\/(?:database|praefect-server)|client\/index)|\/node_modules\/(?:kysely|pg)\//;
  assert.doesNotMatch(stderr, large);
});
