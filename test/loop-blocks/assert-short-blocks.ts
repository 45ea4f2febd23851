import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { machineSlowness } from '#testkit/measure/machine-slowness';
import type { GitalyProcess } from '#testkit/servers/start-gitaly-process';
import type { LongestBlock } from './delay-monitor.ts';

/** The least one counts: garbage is not collected, and code not compiled, each time. */
const ATTEMPTS = 12;

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
  const above: string[] = [];
  while (above.length < ATTEMPTS) {
    await gitaly.ask({});
    await call(above.length);
    // Sent by delay-monitor.ts.
    const { cpuMs, delayMs } = (await gitaly.ask({})) as LongestBlock;
    assert.ok(cpuMs > 0);
    const shown = `${Math.round(cpuMs)} ms of CPU time, ${Math.round(delayMs)} ms`;
    const slowness = cpuMs < limitMs ? 1 : machineSlowness(); // at this moment
    if (cpuMs < limitMs * slowness)
      return t.diagnostic(slowness === 1 ? shown : `${shown}, a machine slower by ${slowness.toFixed(2)}`);
    above.push(`${shown} (${slowness.toFixed(2)})`);
  }
  assert.fail(`blocks above ${limitMs} ms, and how much slower the machine is: ${above.join('; ')}`);
}
