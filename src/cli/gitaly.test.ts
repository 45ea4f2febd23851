import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageVersion } from '#platform/process/version';
import { programCommand } from '#testkit/programs/program-command';

const PROGRAM = programCommand('gitaly');

function gitaly(args: readonly string[], input = '') {
  const run = spawnSync(process.execPath, [...PROGRAM, ...args], { encoding: 'utf8', input });
  return { exit: run.status, stdout: run.stdout, stderr: run.stderr };
}

function scratch() {
  const path = mkdtempSync(join(tmpdir(), 'gitaly-cli-'));
  for (const name of ['storage', 'run']) mkdirSync(join(path, name));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

for (const flag of ['--version', '-version', '-v']) {
  test(`gitaly ${flag} prints the version as Gitaly does`, () => {
    assert.deepEqual(gitaly([flag]), {
      exit: 0,
      stdout: `Gitaly, version ${packageVersion()}\n`,
      stderr: '',
    });
  });
}

test('gitaly --help shows a description and examples', () => {
  const { exit, stdout } = gitaly(['--help']);

  assert.equal(exit, 0);
  assert.match(stdout, /A Git RPC service/);
  assert.match(stdout, /Examples:\n {2}gitaly serve/);
});

for (const args of [
  [],
  ['serve'],
  ['serve', ''],
  ['serve', 'a', 'b'],
  ['check'],
  ['check', 'a', 'b'],
  ['a', 'b'],
]) {
  test(`other than one configuration prints the help and exits with code 2: ${JSON.stringify(args)}`, () => {
    const { exit, stdout, stderr } = gitaly(args);

    assert.equal(exit, 2);
    assert.match(stdout, /^Usage: gitaly /);
    assert.equal(stderr, args[0] === 'check' ? 'error: invalid argument(s)\n' : '');
  });
}

for (const { args, text } of [
  { args: ['--nonsense'], text: 'flag provided but not defined: -nonsense' },
  { args: ['check', '-x', 'a'], text: 'flag provided but not defined: -x' },
  { args: ['hooks', 'set', '--nonsense=1'], text: 'flag provided but not defined: -nonsense' },
  { args: ['cluster', 'info', '--format'], text: 'flag needs an argument: --format' },
]) {
  test(`a wrong option ends with Gitaly's text and exit code: ${args.join(' ')}`, () => {
    const { exit, stdout, stderr } = gitaly(args);

    assert.deepEqual([exit, stdout], [1, '']);
    const [first, second, third] = stderr.split('\n');
    assert.deepEqual([first, second], [`Incorrect Usage: ${text}`, '']);
    assert.match(third ?? '', new RegExp(`^\\d{4}/\\d\\d/\\d\\d \\d\\d:\\d\\d:\\d\\d ${text}$`));
  });
}

// Exit codes and texts of Gitaly 19.0.
for (const name of ['configuration', 'hooks', 'db', 'cluster']) {
  test(`gitaly ${name} without a subcommand prints its help; an unknown one is named`, () => {
    const [alone, unknown] = [gitaly([name]), gitaly([name, 'nonsense'])];

    assert.deepEqual([alone.exit, alone.stderr], [0, '']);
    assert.match(alone.stdout, new RegExp(`Usage: gitaly ${name} `));
    assert.deepEqual(unknown, { exit: 3, stdout: '', stderr: "No help topic for 'nonsense'\n" });
  });
}

test('gitaly help is the help, and no configuration of that name', () => {
  assert.deepEqual(gitaly(['help']), gitaly(['--help']));
});

for (const form of [['serve'], []]) {
  test(`gitaly ${form.join(' ')} CONFIG explains an invalid configuration and exits with code 1`, () => {
    using directory = scratch();
    const config = join(directory.path, 'config.toml');
    writeFileSync(config, 'listen_addr = ":0"\ngraceful_restart_timeout = "1 minute"\n');

    const { exit, stdout, stderr } = gitaly([...form, config]);

    assert.equal(exit, 1);
    assert.equal(stdout, '');
    assert.equal(
      stderr,
      `failed to configure Gitaly: load config: config_path "${config}": load toml: ` +
        `toml: time: unknown unit " minute" in duration "1 minute"

  file      ${config}, line 2
  key       graceful_restart_timeout
  read      "1 minute"
  accepted  a duration in quotes, such as "90s", "1m30s" or "300ms" (units ns, us, ms, s, m, h)
`,
    );
  });
}

test('configuration validate reads standard input', () => {
  const { exit, stdout } = gitaly(['configuration', 'validate'], 'listen_addr = ":0"\n');

  assert.equal(exit, 2);
  assert.deepEqual(JSON.parse(stdout), { errors: [{ key: ['storage'], message: 'not set' }] });
});

test('gitaly serve warns of unknown keys, runs until SIGTERM, and leaves nothing behind', async () => {
  using directory = scratch();
  const config = join(directory.path, 'config.toml');
  const socket = join(directory.path, 'gitaly.socket');
  writeFileSync(
    config,
    `socket_pth = "x"\nsocket_path = "${socket}"\nruntime_dir = "${directory.path}/run"\n[logging]\n` +
      `format = "json"\n[[storage]]\nname = "default"\npath = "${directory.path}/storage"\n`,
  );
  const server = spawn(process.execPath, [...PROGRAM, 'serve', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let log = '';
  server.stdout.setEncoding('utf8');
  for await (const text of server.stdout.iterator({ destroyOnReturn: false })) {
    log += text;
    if (log.includes('"msg":"Started Gitaly"')) break;
  }
  assert.ok(existsSync(socket));
  assert.deepEqual(readdirSync(join(directory.path, 'run')), [`gitaly-${server.pid}`]);

  server.kill('SIGTERM');
  server.stdout.on('data', (text: string) => {
    log += text;
  });
  const [exit] = await once(server, 'close');

  assert.equal(exit, 0);
  const messages = log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).msg);
  assert.equal(messages[0], 'unknown configuration key "socket_pth", did you mean "socket_path"?');
  assert.deepEqual(messages.slice(-4), [
    '[shutdown] stopping Gitaly',
    'starting grace period',
    '[shutdown] stopped Gitaly gracefully',
    'Gitaly shutdown',
  ]);
  assert.equal(existsSync(socket), false);
  assert.deepEqual(readdirSync(join(directory.path, 'run')), []);
});

// Symptom: the server started, and the RPC had no limit.
test('gitaly serve refuses a limit of an RPC that does not exist', () => {
  using directory = scratch();
  const file = join(directory.path, 'config.toml');
  writeFileSync(
    file,
    `socket_path = "${directory.path}/s"\n[[storage]]\nname = "a"\npath = "${directory.path}/storage"\n` +
      '[[concurrency]]\nrpc = "FindComit"\nmax_per_repo = 1\n',
  );

  const { exit, stdout, stderr } = gitaly(['serve', file]);

  assert.deepEqual([exit, stdout], [1, '']);
  assert.match(stderr, /^failed to configure Gitaly: .*concurrency\[0\]\.rpc names no RPC/);
  assert.ok(stderr.includes(`  file      ${file}\n  key       concurrency[0].rpc\n`), stderr);
});
