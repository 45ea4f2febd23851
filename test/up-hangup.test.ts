import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { programCommand } from '#testkit/programs/program-command';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { bindNotifySocket } from './restart/notify-socket.ts';
import { gitalyTs, startUp } from './start-up.ts';
import { startUpFamily } from './workers/up-family.ts';

const scratch = makeScratchDirectory('up-hangup');
after(() => rmSync(scratch, { recursive: true }));

/** `script` of util-linux runs a program in a terminal. */
const NO_SCRIPT = spawnSync('script', ['--version']).error === undefined ? false : 'there is no script';

async function userLine(name: string): Promise<string> {
  const { stdout } = await gitalyTs(['hash-password', name, '--write'], 'secret\n');
  return stdout;
}

test('SIGHUP without TLS loads changed users at once, and does not stop the server', async () => {
  const users = join(scratch, 'users');
  const [ann, bob] = await Promise.all(['ann', 'bob'].map(userLine));
  writeFileSync(users, ann ?? '');
  await using up = await startUp({
    args: [join(scratch, 'data'), '--http', '127.0.0.1:0', '--auth-file', users],
  });
  const read = (name: string) =>
    runGit(['ls-remote', `${up.report.http.replace('://', `://${name}:secret@`)}/hello.git`]);
  await read('ann');
  await assert.rejects(read('bob'));

  for (let round = 0; round < 3; round++) {
    writeFileSync(users, bob ?? '');
    up.kill('SIGHUP');
    await read('bob');
    await assert.rejects(read('ann'));
    writeFileSync(users, ann ?? '');
    up.kill('SIGHUP');
    await read('ann');
  }
  writeFileSync(users, 'broken\n');
  up.kill('SIGHUP');
  await until(() => up.log().includes('the previous file stays in use'), up.log);
  await read('ann');

  assert.equal(await up.stop('SIGTERM'), 0);
});

test('SIGHUP to all processes of a server with workers stops none of them', async () => {
  await using server = await startUpFamily({ args: [] });
  const pids = async (): Promise<number[]> => {
    const { workers = [] } = await server.status();
    return workers.map(({ pid }) => pid).sort();
  };
  const before = await pids();

  for (let round = 0; round < 3; round++) {
    for (const pid of before) process.kill(pid, 'SIGHUP');
    await runGit(['ls-remote', `${server.http}/hello.git`]);
  }

  assert.equal(before.length, 3);
  assert.deepEqual(await pids(), before);
  assert.equal(await server.stop('SIGTERM'), 0);
});

test('SIGHUP does not stop a server in a terminal, unless that was closed', { skip: NO_SCRIPT }, async () => {
  const [report, data] = [join(scratch, 'report'), join(scratch, 'in-terminal')];
  const log = join(scratch, 'terminal.log');
  const command = [process.execPath, ...programCommand('gitaly-ts'), 'up', data, '--json', '--log', log];
  const terminal = spawn(
    'script',
    ['-qec', `${command.join(' ')} --http 127.0.0.1:0 > ${report}`, '/dev/null'],
    { stdio: ['pipe', 'ignore', 'ignore'] },
  );
  writeFileSync(report, '');
  await until(() => readFileSync(report, 'utf8').includes('\n'));
  const { http, pid } = JSON.parse(readFileSync(report, 'utf8')) as { http: string; pid: number };
  const isRunning = (): boolean => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };

  rmSync(log);
  process.kill(pid, 'SIGHUP');
  await until(() => existsSync(log));
  await runGit(['ls-remote', `${http}/hello.git`]);
  const ended = once(terminal, 'exit');
  terminal.kill('SIGKILL'); // closes the terminal
  await ended;

  await until(() => !isRunning());
});

test('up notifies systemd when it is ready, and when it stops', async () => {
  const path = join(scratch, 'notify');
  using socket = bindNotifySocket(path);
  await using up = await startUp({
    args: [join(scratch, 'notifying'), '--http', '127.0.0.1:0'],
    env: { NOTIFY_SOCKET: path },
  });
  await until(() => socket.messages().some((message) => message.startsWith('READY=1')));
  await up.stop('SIGTERM');

  assert.ok(socket.messages().at(-1)?.startsWith('STOPPING=1'));
});

test('SIGHUP during the start does not stop the server', async () => {
  const child = spawn(
    process.execPath,
    [...programCommand('gitaly-ts'), 'up', join(scratch, 'early'), '--json', '--http', '127.0.0.1:0'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit');
  try {
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    await until(() => existsSync(join(scratch, 'early')) || child.exitCode !== null);
    await until(() => !child.kill('SIGHUP') || child.exitCode !== null || output.includes('\n'));

    assert.equal(child.exitCode, null);
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
});
