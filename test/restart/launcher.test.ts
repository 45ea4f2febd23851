import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { isAlive } from '#tools/wrapper/find-server';

const ROOT = join(import.meta.dirname, '../..');

test('a restart starts the version that the link to the program leads to now', async () => {
  const directory = makeScratchDirectory('launcher');
  for (const name of ['default', 'run']) mkdirSync(join(directory, name), { recursive: true });
  for (const version of ['1', '2']) {
    mkdirSync(join(directory, version, 'bin'), { recursive: true });
    cpSync(join(ROOT, 'bin/gitaly'), join(directory, version, 'bin/gitaly'));
    for (const name of ['dist', 'package.json', 'node_modules', '.node'])
      if (existsSync(join(ROOT, name))) symlinkSync(join(ROOT, name), join(directory, version, name));
  }
  const link = join(directory, 'gitaly');
  symlinkSync('1/bin/gitaly', link);
  writeFileSync(
    join(directory, 'config.toml'),
    `socket_path = "${directory}/gitaly.socket"\nruntime_dir = "${directory}/run"\n` +
      `[[storage]]\nname = "default"\npath = "${directory}/default"\n`,
  );
  const pidFile = join(directory, 'pid');
  const relative = './gitaly';
  const server = spawn(relative, ['config.toml'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, GITALY_UPGRADES_ENABLED: '1', GITALY_PID_FILE: pidFile },
  });
  const output: Buffer[] = [];
  for (const stream of [server.stdout, server.stderr])
    stream.on('data', (chunk: Buffer) => output.push(chunk));
  const log = (): string => Buffer.concat(output).toString();
  const pid = (): number => (existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0);
  const programOf = (of: number): string => readFileSync(`/proc/${of}/environ`, 'utf8');
  try {
    await until(() => pid() !== 0, log);
    const first = pid();
    assert.match(programOf(first), new RegExp(`GITALY_TS_LAUNCHER=${first}:${directory}/\\./gitaly`));

    symlinkSync('2/bin/gitaly', `${link}.next`);
    renameSync(`${link}.next`, link);
    rmSync(join(directory, '1'), { recursive: true });
    process.kill(first, 'SIGHUP');
    await until(() => pid() !== first, log);
    await until(() => !isAlive(first), log);

    assert.match(log(), /msg="Upgrade succeeded"/);
    process.kill(pid(), 'SIGTERM');
    await once(server, 'close');
    assert.doesNotMatch(log(), /unclean/);
  } finally {
    if (pid() > 0 && isAlive(pid())) process.kill(pid(), 'SIGKILL');
    server.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});
