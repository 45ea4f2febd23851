import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { endSurvivors, STARTED_BY } from './end-survivors.ts';

const skip = process.platform === 'linux' ? false : 'processes are not reported';
/** Id that no process of the machine has. */
const STARTER = 2 ** 30;

/** Starts a shell with a child, in a process group of its own, and waits until both run. */
async function start(starter: number, script = 'sleep 1000 & echo started; wait'): Promise<ChildProcess> {
  const child = spawn('/bin/sh', ['-c', script], {
    detached: true,
    env: { [STARTED_BY]: String(starter) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

/** Returns the signal that ended a process, when the programs that hold its output have ended, too. */
async function endOf(child: ChildProcess): Promise<unknown> {
  const [, ended] = await once(child, 'close');
  return ended;
}

test('what a killed process has started ends, with its children; others run on', { skip }, async () => {
  const [survivor, other] = [await start(STARTER), await start(STARTER + 1)];
  const ended = endOf(survivor);

  await endSurvivors(STARTER);

  assert.equal(await ended, 'SIGTERM');
  assert.equal(other.exitCode ?? other.signalCode, null);
  const otherEnded = endOf(other);
  await endSurvivors(STARTER + 1);
  assert.equal(await otherEnded, 'SIGTERM');
});

test('what ignores SIGTERM is killed after the grace period', { skip }, async () => {
  const survivor = await start(STARTER, "trap '' TERM; echo started; while :; do sleep 0.05; done");
  const ended = endOf(survivor);

  await endSurvivors(STARTER, { graceMs: 200 });

  assert.equal(await ended, 'SIGKILL');
});
