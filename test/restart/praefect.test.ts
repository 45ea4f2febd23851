import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { dial } from '#client/index';
import { programCommand } from '#testkit/programs/program-command';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { isAlive } from '#tools/wrapper/find-server';

const ROOT = join(import.meta.dirname, '../..');

test('Praefect restarts under load without a failed call, and stops by its own name', async () => {
  const directory = makeScratchDirectory('restart-praefect');
  mkdirSync(directory, { recursive: true });
  await using gitaly = await startGitaly({ storages: ['gitaly-1'] });
  const [config, pidFile, socket] = ['config.toml', 'pid', 'praefect.socket'].map((name) =>
    join(directory, name),
  );
  writeFileSync(
    config ?? '',
    `socket_path = "${socket}"
listen_addr = "127.0.0.1:0"
memory_queue_enabled = true
i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning = true
[failover]
election_strategy = "local"
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "gitaly-1"
address = "${gitaly.address}"
`,
  );
  const praefect = spawn(process.execPath, [...programCommand('praefect'), '--config', config ?? ''], {
    cwd: ROOT,
    env: { ...process.env, GITALY_UPGRADES_ENABLED: 'true', GITALY_PID_FILE: pidFile },
  });
  const output: Buffer[] = [];
  for (const stream of [praefect.stdout, praefect.stderr])
    stream.on('data', (chunk: Buffer) => output.push(chunk));
  const log = (): string => Buffer.concat(output).toString();
  const pids = new Set<number>();
  const pid = (): number => {
    const now = existsSync(pidFile ?? '') ? Number(readFileSync(pidFile ?? '', 'utf8')) : 0;
    if (now !== 0) pids.add(now);
    return now;
  };
  try {
    await until(() => pid() !== 0, log);
    await until(() => log().includes('schema=tcp'), log);
    const tcp = /address="?(127[^" ]+)"? .*schema=tcp/.exec(log())?.[1];
    const connections = await Promise.all(
      [`unix:${socket}`, `tcp://${tcp}`].map((address) => dial(address, { retry: false })),
    );
    const stop = new AbortController();
    const load = connections.map(async (connection) => {
      for (let calls = 0; ; calls++) {
        if (stop.signal.aborted) return calls;
        const { storageStatuses } = await connection.server.serverInfo({});
        assert.equal(storageStatuses.length, 1);
        await delay(2); // the rate of the calls
      }
    });

    const first = pid();
    process.kill(first, 'SIGHUP');
    await until(() => pid() !== first, log);
    await until(() => !isAlive(first), log);
    await delay(200); // load on the new process
    stop.abort();
    for (const calls of await Promise.all(load)) assert.ok(calls > 50, `${calls} calls`);
    for (const connection of connections) await connection.close();
    assert.match(log(), /msg="\[graceful upgrade\] stopped old Praefect"/);

    process.kill(pid(), 'SIGTERM');
    await once(praefect, 'close'); // the second process has its output
    assert.match(log(), /msg="\[shutdown\] stopping Praefect"/);
    assert.match(log(), /msg="\[shutdown\] stopped Praefect gracefully"/);
    assert.doesNotMatch(log(), /(stopping|stopped) (old )?Gitaly/);
    assert.equal(existsSync(socket ?? ''), false);
  } finally {
    for (const each of pids) if (isAlive(each)) process.kill(each, 'SIGKILL');
    praefect.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});
