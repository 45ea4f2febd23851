import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { descriptorOf } from '#base/streams/stream-handle';
import { dial } from '#client/index';
import { TEST_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
import { programCommand } from '#testkit/programs/program-command';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { bindNotifySocket } from './notify-socket.ts';

const ROOT = join(import.meta.dirname, '../..');
const WATCHDOG_USEC = 400_000;

test('with systemd: sockets of the unit, notifications, a watchdog, and a restart', {
  skip: process.platform !== 'linux' && 'systemd is part of Linux',
}, async () => {
  const directory = makeScratchDirectory('systemd');
  for (const name of ['default', 'run']) mkdirSync(join(directory, name), { recursive: true });
  const socketPath = join(directory, 'gitaly.socket');
  const notifyPath = join(directory, 'notify');
  using systemd = bindNotifySocket(notifyPath);
  // Some sockets have the name of a listener, others are known by their address.
  // Bound under another name: the runtime removes that name when this process closes the socket.
  const unix = await listening(createServer(), { path: `${socketPath}.bound` });
  renameSync(`${socketPath}.bound`, socketPath);
  const loopback = () => listening(createServer(), { host: '127.0.0.1', port: 0 });
  const others = await Promise.all([loopback(), loopback(), loopback()]);
  const [tcp, tls, metrics] = others.map((server) => (server.address() as AddressInfo).port); // they are TCP
  const config = join(directory, 'config.toml');
  writeFileSync(
    config,
    `socket_path = "${socketPath}"
listen_addr = "127.0.0.1:${tcp}"
tls_listen_addr = "127.0.0.1:1"
prometheus_listen_addr = "localhost:${metrics}"
runtime_dir = "${directory}/run"
[tls]
certificate_path = "${TEST_CERTIFICATE}"
key_path = "${TEST_KEY}"
[[storage]]
name = "default"
path = "${directory}/default"
`,
  );
  const servers = [unix, ...others];
  const command = [process.execPath, ...programCommand('gitaly'), 'serve', config];
  const child = spawn('/bin/sh', ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', ...command], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe', ...servers.map(descriptorOf)],
    env: {
      ...process.env,
      LISTEN_FDS: '4',
      LISTEN_FDNAMES: 'unix:gitaly.socket:tls:gitaly.socket',
      NOTIFY_SOCKET: notifyPath,
      WATCHDOG_USEC: String(WATCHDOG_USEC),
      GITALY_UPGRADES_ENABLED: '1',
    },
  });
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => output.push(chunk));
  const log = (): string => Buffer.concat(output).toString();
  const exited = once(child, 'close');
  const has = (line: string): boolean => systemd.messages().some((each) => each.split('\n').includes(line));
  const addresses = [`unix:${socketPath}`, `tcp://127.0.0.1:${tcp}`, `tls://127.0.0.1:${tls}`];
  let main = child.pid ?? 0;
  try {
    await until(() => has('READY=1'), log);
    for (const server of servers) server.close(); // from here on only the server listens
    const checkAll = async (): Promise<void> => {
      for (const address of addresses) {
        await using connection = await dial(address, { tls: { ca: readFileSync(TEST_CERTIFICATE) } });
        await connection.server.serverInfo({});
      }
      const response = await fetch(`http://127.0.0.1:${metrics}/-/ready`);
      assert.equal(response.status, 200);
    };
    await checkAll();
    await until(() => systemd.messages().filter((each) => each === 'WATCHDOG=1').length > 2, log);

    process.kill(main, 'SIGHUP');
    await until(() => systemd.messages().some((each) => each.startsWith('MAINPID=')), log);
    const reloading = systemd.messages().find((each) => each.startsWith('RELOADING=1'));
    assert.match(reloading ?? '', /^RELOADING=1\nMONOTONIC_USEC=\d+\n/);
    assert.equal(has('STOPPING=1'), false, 'the service goes on');
    main = Number(/MAINPID=(\d+)\nREADY=1/.exec(systemd.messages().join('\n\n'))?.[1]);
    assert.notEqual(main, child.pid);
    await checkAll();
    await until(() => has('WATCHDOG=1'), log);

    process.kill(main, 'SIGTERM');
    await until(() => has('STOPPING=1'), log);
    await exited;
    assert.doesNotMatch(log(), /level=(error|warning) msg="(?!starting grace|event loop was blocked)/);
    assert.equal(existsSync(socketPath), true, "the file is systemd's");
  } finally {
    for (const pid of new Set([main, child.pid ?? 0])) if (pid > 0) kill(pid);
    for (const server of servers) server.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

async function listening(
  server: Server,
  where: { path: string } | { host: string; port: number },
): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(where, resolve));
  return server;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}
