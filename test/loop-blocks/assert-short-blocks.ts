import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { GitalyProcess } from '#testkit/start-gitaly-process';
import type { LongestBlock } from './delay-monitor.ts';

/** The least one counts: garbage is not collected, and code not compiled, each time. */
const ATTEMPTS = 8;

/** CPU time of `work` on the machine that the limits are for. */
const USUAL_WORK_MS = 28;
/** Limits grow by this factor at most. */
const MAX_SLOWNESS = 3;

/**
 * Asserts that a call blocks the event loop of a server only shortly.
 *
 * @param gitaly has preloaded delay-monitor.ts.
 * @param limitMs limit of the CPU time between two iterations of the event loop. It is larger on a
 * slow machine: the same machine may take two or three times as long an hour later.
 */
export async function assertShortBlocks(
  t: TestContext,
  gitaly: Pick<GitalyProcess, 'ask'>,
  call: (attempt: number) => Promise<unknown>,
  limitMs: number,
): Promise<void> {
  let least: LongestBlock | undefined;
  for (let attempt = 0; attempt < ATTEMPTS && (least?.cpuMs ?? limitMs) >= limitMs; attempt++) {
    await gitaly.ask({});
    await call(attempt);
    // Sent by delay-monitor.ts.
    const longest = (await gitaly.ask({})) as LongestBlock;
    if (least === undefined || longest.cpuMs < least.cpuMs) least = longest;
  }
  const { delayMs = 0, cpuMs = 0 } = least ?? {};
  const slowness = cpuMs < limitMs ? 1 : measureSlowness();
  const shown = `${Math.round(cpuMs)} ms of CPU time, ${Math.round(delayMs)} ms`;
  t.diagnostic(slowness === 1 ? shown : `${shown}, a machine slower by ${slowness.toFixed(2)}`);
  assert.ok(cpuMs > 0 && cpuMs < limitMs * slowness, shown);
}

/** Returns how many times as long as usual this machine takes now, at least 1. */
function measureSlowness(): number {
  const timesMs = Array.from({ length: ATTEMPTS }, () => {
    const start = process.threadCpuUsage();
    work();
    const { user, system } = process.threadCpuUsage(start);
    return (user + system) / 1000;
  });
  return Math.min(Math.max(Math.min(...timesMs) / USUAL_WORK_MS, 1), MAX_SLOWNESS);
}

/** Sorts strings and allocates objects, as listing files does. */
function work(): unknown {
  const words = Array.from({ length: 50_000 }, (_, index) => `${(index * 7919) % 100_003}`).sort();
  return new Map(words.map((word) => [word, { word, all: [word] }]));
}
