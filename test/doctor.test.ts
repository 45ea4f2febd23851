import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ownerSuffix } from '#base/process-identity';
import { dial } from '#client/index';
import { TEST_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
import { programCommand } from '#testkit/programs/program-command';
import { type RunResult, run } from '#testkit/run-program';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { startGitaly } from '#testkit/start-gitaly';

const ROOT = join(import.meta.dirname, '..');
const PROGRAM = programCommand('gitaly-ts');

interface Finding {
  readonly subject: string;
  readonly level: string;
  readonly message: string;
  readonly fix?: string;
}

interface Diagnosis {
  readonly code: number | null;
  readonly errors: number;
  readonly warnings: number;
  readonly findings: readonly Finding[];
}

function place() {
  const root = mkdtempSync(join(tmpdir(), 'doctor-'));
  const temporary = join(root, 'tmp');
  mkdirSync(temporary);
  const tool = (args: readonly string[], env: Record<string, string> = {}): Promise<RunResult> =>
    run(process.execPath, [...PROGRAM, ...args], { cwd: ROOT, env: { TMPDIR: temporary, ...env } });
  return {
    root,
    temporary,
    tool,
    async doctor(target: string, env: Record<string, string> = {}): Promise<Diagnosis> {
      const { code, stdout } = await tool(['doctor', target, '--json'], env);
      return { code, ...JSON.parse(stdout) };
    },
    /** Writes a configuration with one good storage. */
    config(lines: string): string {
      const path = join(root, 'config.toml');
      mkdirSync(join(root, 'storage'), { recursive: true });
      mkdirSync(join(root, 'run'), { recursive: true });
      const base = `socket_path = "${root}/s"\nruntime_dir = "${root}/run"\n`;
      writeFileSync(path, `${base}${lines}\n[[storage]]\nname = "default"\npath = "${root}/storage"\n`, {
        mode: 0o600,
      });
      return path;
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Returns the findings that are not ok, except that of an older git. */
const bad = ({ findings }: Diagnosis): readonly Finding[] =>
  findings.filter(
    ({ level, subject }) =>
      level !== 'ok' && subject !== 'git' && subject !== 'descriptors' && subject !== 'memory',
  );

test('a directory made by init is healthy, can be served, and is unchanged by a second init', async () => {
  using at = place();
  const directory = join(at.root, 'new');

  const first = await at.tool(['init', directory]);
  const diagnosis = await at.doctor(directory);
  const token = readFileSync(join(directory, 'token'), 'utf8');
  const again = await at.tool(['init', directory]);

  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /gitaly serve .*new\/config\.toml/);
  assert.deepEqual([diagnosis.code, bad(diagnosis)], [0, []]);
  assert.ok(diagnosis.findings.some(({ subject, level }) => subject === 'round trip' && level === 'ok'));
  assert.equal(again.code, 1);
  assert.match(again.stderr, /config\.toml exists already: remove it first, or choose another directory/);
  assert.equal(readFileSync(join(directory, 'token'), 'utf8'), token);
  assert.equal(statSync(join(directory, 'config.toml')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(at.temporary), []);

  await using server = await startInitialized(directory);
  await using connection = await dial(server.address, { token: token.trim() });
  const { storageStatuses } = await connection.server.serverInfo({});
  assert.deepEqual(
    storageStatuses.map(({ storageName, writeable }) => [storageName, writeable]),
    [['default', true]],
  );
  const running = await at.doctor(join(directory, 'config.toml'));
  assert.match(
    running.findings.find(({ subject }) => subject === 'socket_path')?.message ?? '',
    /^a server responds at unix:/,
  );
});

/** Starts `gitaly serve` on a directory of init. */
async function startInitialized(directory: string) {
  const args = [...programCommand('gitaly'), 'serve', join(directory, 'config.toml')];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const address = `unix:${join(directory, 'gitaly.socket')}`;
  await using probe = await dial(address);
  await probe.waitForReady({ timeoutMs: 20_000 });
  child.stdout.resume();
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

test('each fault of a configuration is an error with a remedy', async () => {
  using at = place();
  const taken = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  await once(taken, 'listening');
  // A TCP server has an address with a port.
  const { port } = taken.address() as AddressInfo;
  writeFileSync(join(at.root, 'token'), 'secret\n', { mode: 0o600 });
  const path = at.config(
    `listen_addr = "127.0.0.1:${port}"\nprometheus_listen_addr = "192.0.2.1:9"\n[auth]\n` +
      `token_file = "${at.root}/token"\n[[storage]]\nname = "gone"\npath = "${at.root}/gone"`,
  );
  mkdirSync(join(at.root, 'gone'));

  const { findings: healthy } = await at.doctor(path);
  rmSync(join(at.root, 'gone'), { recursive: true });
  const broken = await at.doctor(path);
  taken.close();
  mkdirSync(join(at.root, 'gone'));
  chmodSync(join(at.root, 'token'), 0o644);
  const open = await at.doctor(path);

  const errors = healthy.filter(({ level }) => level === 'error');
  assert.deepEqual(
    errors.map(({ subject }) => subject),
    ['listen_addr', 'prometheus_listen_addr'],
  );
  assert.match(errors[0]?.message ?? '', /does not respond as this server/);
  assert.match(errors[1]?.message ?? '', /EADDRNOTAVAIL/);
  assert.equal(broken.code, 1);
  assert.match(
    broken.findings.find(({ subject }) => subject === 'configuration')?.message ?? '',
    /doesn't exist: .*gone/,
  );
  assert.match(
    open.findings.find(({ subject }) => subject === 'configuration')?.message ?? '',
    /permission 0644 is too permissive/,
  );
  for (const finding of [...errors, ...bad(broken), ...bad(open)]) assert.ok(finding.fix, finding.message);
  assert.doesNotMatch(JSON.stringify([healthy, broken, open]), /secret\\n/);
});

test('the addresses of a server that runs are its own; those of another program are errors', async () => {
  using at = place();
  const other = createHttpServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  await once(other, 'listening');
  // A TCP server has an address with a port.
  const { port } = other.address() as AddressInfo;
  await using server = await startGitalyProcess({ everyListener: true });
  const addresses = (tls: string | undefined, monitoring: string | undefined): string =>
    at.config(`
listen_addr = "${server.tcp}"
tls_listen_addr = "${tls}"
prometheus_listen_addr = "${monitoring}"
[tls]
certificate_path = "${TEST_CERTIFICATE}"
key_path = "${TEST_KEY}"
`);
  const keys = ['listen_addr', 'tls_listen_addr', 'prometheus_listen_addr'];
  const levels = ({ findings }: Diagnosis): string[] =>
    keys.map((key) => findings.find(({ subject }) => subject === key)?.level ?? 'none');

  const own = await at.doctor(addresses(server.tls, server.monitoring));
  const foreign = await at.doctor(addresses(`127.0.0.1:${port}`, `127.0.0.1:${port}`));
  other.close();

  assert.deepEqual(levels(own), ['ok', 'ok', 'ok'], JSON.stringify(own.findings));
  assert.deepEqual(levels(foreign), ['ok', 'error', 'error'], JSON.stringify(foreign.findings));
});

test('unusual settings that work are warnings and do not fail', async () => {
  using at = place();
  await using dead = await startGitalyProcess({ directory: at.root });
  dead.kill('SIGKILL');
  await dead.exited;
  const old = join(at.root, 'default/+gitaly/tmp/old');
  mkdirSync(old, { recursive: true });
  const ofTheDead = ownerSuffix().replace(/\.\d+\.\d+$/, `.${dead.pid}.1`);
  mkdirSync(join(at.root, `default/+gitaly/tmp/repo1${ofTheDead}`));
  mkdirSync(join(at.root, 'default/a.git'));
  writeFileSync(join(at.root, 'default/a.git/HEAD.lock'), '');
  mkdirSync(join(at.root, 'default/+gitaly/state/a.git/pending'), { recursive: true });
  writeFileSync(join(at.root, `default/+gitaly/state/a.git/pending/1${ofTheDead}`), '');
  const copy = join(at.temporary, 'gitaly-import-x');
  mkdirSync(copy);
  for (const path of [old, copy]) utimesSync(path, 1, 1);
  const config = join(at.root, 'config.toml');
  writeFileSync(config, `listen_addr = "127.0.0.1:0"\nno_such_key = 1\n${readFileSync(config, 'utf8')}`);
  const key = join(at.root, 'key.pem');
  writeFileSync(key, readFileSync(join(ROOT, 'src/testkit/fixtures/tls-key.pem')), { mode: 0o644 });
  writeFileSync(
    config,
    `${readFileSync(config, 'utf8')}[tls]\ncertificate_path = "${TEST_CERTIFICATE}"\nkey_path = "${key}"\n`,
  );

  const diagnosis = await at.doctor(config);

  assert.equal(diagnosis.code, 0);
  const warnings = bad(diagnosis).map(
    ({ subject, message }) => `${subject}: ${message.replaceAll(at.root, 'R')}`,
  );
  for (const expected of [
    /^configuration: unknown configuration key "no_such_key"/,
    /^storage default: 1 temporary directories of processes that no longer run, such as old$/,
    /^storage default: left by processes that no longer run: R\/default\/\+gitaly\/tmp\/repo1\.\S+, R\/default\/a\.git\/HEAD\.lock$/,
    /^token: there is no token/,
    /^tls key: R\/key\.pem has mode 0644: others can read the secret$/,
    /^socket_path: R\/gitaly\.socket is left over from a server that no longer runs$/,
    /^leftovers: runtime directories of servers that no longer run: gitaly-\d+$/,
    /^leftovers: copies of imports that were killed: R\/tmp\/gitaly-import-x$/,
  ]) {
    assert.ok(
      warnings.some((warning) => expected.test(warning)),
      `${expected} is not in\n${warnings.join('\n')}`,
    );
  }
});

test('an old git, few descriptors and a wrong token are reported', async () => {
  using at = place();
  await using gitaly = await startGitaly({ token: 'right', tcp: true });
  const git = join(at.root, 'git');
  writeFileSync(git, '#!/bin/sh\necho git version 2.30.1\n', { mode: 0o755 });
  const path = at.config(
    `listen_addr = "${gitaly.addresses.tcp?.replace('tcp://', '')}"\n[auth]\ntoken = "wrong"`,
  );

  const old = await at.doctor(at.root, { GITALY_TESTING_GIT_BINARY: git });
  const shell = await run(
    'sh',
    ['-c', `ulimit -n 500; exec "${process.execPath}" "$@"`, 'sh', ...PROGRAM, 'doctor', path],
    {
      cwd: ROOT,
      env: { TMPDIR: at.temporary },
    },
  );

  assert.match(
    old.findings.find(({ subject }) => subject === 'git')?.message ?? '',
    /unsupported Git version: "2\.30\.1"/,
  );
  assert.equal(shell.code, 1);
  assert.match(shell.stdout, /^error {4}descriptors: 500 open files at most\n {9}fix: Raise it/m);
  assert.match(shell.stdout, /^error {4}listen_addr: .*permission denied/m);
  assert.match(shell.stdout, /\n\d+ ok, \d+ warnings?, \d+ errors?\n$/);
});

test('a directory of "gitaly-ts up" is checked; any other directory is an error', async () => {
  using at = place();
  mkdirSync(join(at.root, 'up/repositories'), { recursive: true });

  const good = await at.doctor(join(at.root, 'up'));
  const nothing = await at.doctor(join(at.root, 'tmp'));

  assert.deepEqual([good.code, bad(good)], [0, []]);
  assert.equal(nothing.code, 1);
  assert.match(nothing.findings.find(({ subject }) => subject === 'directory')?.fix ?? '', /gitaly-ts init/);
});
