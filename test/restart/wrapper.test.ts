import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dial } from '#client/index';
import { programCommand } from '#testkit/programs/program-command';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { isAlive } from '#tools/wrapper/find-server';

const ROOT = join(import.meta.dirname, '../..');
const WRAPPER = [process.execPath, ...programCommand('gitaly-wrapper')];
const GITALY = [process.execPath, ...programCommand('gitaly')];

/** A wrapped server on a temporary directory. */
interface Wrapped extends AsyncDisposable {
  readonly directory: string;
  readonly wrapper: ChildProcess;
  readonly exited: Promise<number | null>;
  log(): string;
  pid(): number;
  /** Starts another wrapper on the same PID file. */
  again(): { wrapper: ChildProcess; log: () => string };
}

function startWrapped(): Wrapped {
  const directory = makeScratchDirectory('wrapper');
  for (const name of ['default', 'run', 'bin']) mkdirSync(join(directory, name), { recursive: true });
  const config = join(directory, 'config.toml');
  writeFileSync(
    config,
    `socket_path = "${directory}/gitaly.socket"\nruntime_dir = "${directory}/run"\n` +
      `[[storage]]\nname = "default"\npath = "${directory}/default"\n`,
  );
  // The wrapper recognizes a server by the name of its program.
  const program = join(directory, 'bin/gitaly');
  writeFileSync(program, `#!/bin/sh\nexec ${GITALY.join(' ')} "$@"\n`, {
    mode: 0o755,
  });
  const pidFile = join(directory, 'gitaly.pid');
  const pids = new Set<number>();
  const start = () => {
    const output: Buffer[] = [];
    const [file = '', ...args] = [...WRAPPER, program, 'serve', config];
    const wrapper = spawn(file, args, { cwd: ROOT, env: { ...process.env, GITALY_PID_FILE: pidFile } });
    wrapper.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    wrapper.stderr.on('data', (chunk: Buffer) => output.push(chunk));
    if (wrapper.pid !== undefined) pids.add(wrapper.pid);
    return { wrapper, log: () => Buffer.concat(output).toString() };
  };
  const { wrapper, log } = start();
  return {
    directory,
    wrapper,
    log,
    exited: new Promise((resolve) => wrapper.once('exit', resolve)),
    again: start,
    pid: () => {
      if (!existsSync(pidFile)) return 0;
      const pid = Number(readFileSync(pidFile, 'utf8'));
      pids.add(pid);
      return pid;
    },
    async [Symbol.asyncDispose]() {
      this.pid();
      for (const pid of pids) if (pid !== 0 && isAlive(pid)) process.kill(pid, 'SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

test('the wrapper keeps its pid over a restart, and ends with the last process', async () => {
  await using wrapped = startWrapped();
  const { wrapper, log, pid, exited, directory } = wrapped;
  await until(() => pid() !== 0, log);
  const first = pid();
  const connection = await dial(`unix:${directory}/gitaly.socket`);
  await connection.server.serverInfo({});

  wrapper.kill('SIGHUP');
  await until(() => pid() !== first, log);
  await connection.server.serverInfo({});
  await until(() => log().includes(`process=${pid()}`), log);
  assert.match(log(), /level=warning msg="forwarding signal" pid=\d+ process=\d+ signal=hangup wrapper=\d+/);
  await connection.close();

  wrapper.kill('SIGTERM');
  assert.equal(await exited, 0, log());
  assert.match(log(), /level=error msg="wrapper for process shutting down"/);
  assert.equal(existsSync(join(directory, 'gitaly.pid')), false);
});

test('a wrapper adopts the server that the PID file names', async () => {
  await using wrapped = startWrapped();
  const { wrapper, log, pid, again } = wrapped;
  await until(() => pid() !== 0, log);
  const server = pid();
  wrapper.kill('SIGKILL');

  const second = again();
  await until(() => second.log().includes('adopting a process'), second.log);
  await until(() => second.log().includes(`msg="monitoring process"`), second.log);
  assert.equal(pid(), server);
  const exited = new Promise((resolve) => second.wrapper.once('exit', resolve));
  second.wrapper.kill('SIGTERM');

  assert.equal(await exited, 0);
  assert.equal(isAlive(server), false);
});

test('without a program or a PID file the wrapper says so and ends with exit code 1', async () => {
  const [file = '', ...args] = WRAPPER;
  const options = { cwd: ROOT, env: { GITALY_PID_FILE: '' } };

  const nothing = await run(file, args, options);
  const noPidFile = await run(file, [...args, '/bin/true'], options);
  const noProgram = await run(file, [...args, '/nowhere/gitaly'], {
    cwd: ROOT,
    env: { GITALY_PID_FILE: '/nowhere/pid', WRAPPER_JSON_LOGGING: '1' },
  });

  assert.deepEqual([nothing.code, noPidFile.code, noProgram.code], [1, 1, 1]);
  assert.match(nothing.stdout, /msg="usage: gitaly-wrapper forking_binary \[args\]"/);
  assert.match(noPidFile.stdout, /msg="missing pid file ENV variable \\"GITALY_PID_FILE\\""/);
  const lines = noProgram.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [
      ['info', 'Wrapper started'],
      ['info', 'finding process'],
      ['error', 'find process'],
      ['info', 'spawning a process'],
      ['error', 'spawn gitaly'],
    ],
  );
});
