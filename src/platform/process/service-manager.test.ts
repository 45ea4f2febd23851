import assert from 'node:assert/strict';
import { test } from 'node:test';
import { never, until } from '#testkit/until';
import { ServiceManager } from './service-manager.ts';

function arrange(env: NodeJS.ProcessEnv) {
  const sent: string[] = [];
  const problems: string[] = [];
  const manager = new ServiceManager({
    env,
    onProblem: (error) => problems.push(error),
    send: (message, socketPath) => sent.push(`${socketPath}: ${message}`),
  });
  return { manager, sent, problems };
}

test('without systemd nothing is sent', () => {
  for (const NOTIFY_SOCKET of [undefined, '', 'relative', 'vsock:2:1234']) {
    const { manager, sent } = arrange({ ...(NOTIFY_SOCKET !== undefined && { NOTIFY_SOCKET }) });
    manager.ready();
    manager.stopping();
    assert.deepEqual(sent, []);
  }
});

test('children do not inherit the variables, and a successor gets those that it needs', () => {
  const env = {
    NOTIFY_SOCKET: '/run/notify',
    WATCHDOG_USEC: '2000',
    WATCHDOG_PID: String(process.pid),
    A: 'b',
  };
  const { manager } = arrange(env);

  assert.deepEqual(env, { A: 'b' });
  assert.deepEqual(manager.environment, { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '2000' });
});

test('each state is one message of assignments, one a line', () => {
  const { manager, sent } = arrange({ NOTIFY_SOCKET: '@abstract' });

  manager.ready();
  manager.reloading();
  manager.handedOver(42);
  manager.stopping();
  manager.notify({ STATUS: 'two\nlines' });

  assert.deepEqual(
    sent.map((each) => each.replace(/USEC=\d+/, 'USEC=…')),
    [
      '@abstract: READY=1\nSTATUS=accepting calls',
      '@abstract: RELOADING=1\nMONOTONIC_USEC=…\nSTATUS=starting a new process',
      '@abstract: MAINPID=42\nREADY=1\nSTATUS=accepting calls',
      '@abstract: STOPPING=1\nSTATUS=waiting for running calls',
      '@abstract: STATUS=two lines',
    ],
  );
});

test('the watchdog is fed until the process hands over', async () => {
  const { manager, sent } = arrange({ NOTIFY_SOCKET: '/s', WATCHDOG_USEC: '4000' });
  const fed = (): number => sent.filter((each) => each === '/s: WATCHDOG=1').length;

  manager.ready();
  await until(() => fed() >= 3);
  manager.handedOver(1);
  const before = fed();

  await never(() => fed() !== before, 'the watchdog is fed');
});

test('the watchdog of another process is not fed', async () => {
  const { manager, sent } = arrange({ NOTIFY_SOCKET: '/s', WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' });

  manager.ready();

  await never(
    () => sent.length !== 1,
    () => sent.join(),
  );
});

test('a notification that cannot be sent is a problem, and no exception', () => {
  const problems: string[] = [];
  const manager = new ServiceManager({
    env: { NOTIFY_SOCKET: '/nowhere/notify' },
    onProblem: (error) => problems.push(error),
    send: () => {
      throw new Error('systemd does not read');
    },
  });

  manager.ready();

  assert.deepEqual(problems, ['systemd does not read']);
});
