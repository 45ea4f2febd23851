import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { machineSlowness } from '#testkit/machine-slowness';
import type { GitalyProcess } from '#testkit/start-gitaly-process';
import type { LongestBlock } from './delay-monitor.ts';

/** The least one counts: garbage is not collected, and code not compiled, each time. */
const ATTEMPTS = 8;

/**
 * Asserts that a call blocks the event loop of a server only shortly.
 *
 * @param gitaly has preloaded delay-monitor.ts.
 * @param limitMs limit of the CPU time between two iterations of the event loop. It is larger on a
 * slow machine.
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
  const slowness = cpuMs < limitMs ? 1 : machineSlowness();
  const shown = `${Math.round(cpuMs)} ms of CPU time, ${Math.round(delayMs)} ms`;
  t.diagnostic(slowness === 1 ? shown : `${shown}, a machine slower by ${slowness.toFixed(2)}`);
  assert.ok(cpuMs > 0 && cpuMs < limitMs * slowness, shown);
}
