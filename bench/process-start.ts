import { join } from 'node:path';
import type { Bench } from './lib/bench.ts';
import { runProgram } from './lib/run-program.ts';

const RESIDENT_MIB = 500;

/** Output line of bench/spawn.ts. */
interface SpawnResult {
  readonly spawner: string;
  readonly blockedMs: { readonly p50: number; readonly p99: number };
  readonly answeredMs: { readonly p50: number };
  readonly startsPerSecondAt8: number;
}

/** Measures how long starting a git blocks a busy server. */
export const bench: Bench = {
  name: 'process-start',
  question: `how long the start of a git stops the event loop of a process with ${RESIDENT_MIB} MiB`,
  async *run() {
    const program = join(import.meta.dirname, 'spawn.ts');
    const output = await runProgram(process.execPath, [...process.execArgv, program, String(RESIDENT_MIB)]);
    // One JSON object per line, the spawner in use first.
    const [inUse, node] = output
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as SpawnResult);
    if (inUse === undefined || node === undefined)
      throw new Error('bench/spawn.ts printed less than two lines');
    yield {
      name: `process start, p50 (${inUse.spawner})`,
      value: inUse.blockedMs.p50,
      unit: 'ms',
      reference: { name: node.spawner, value: node.blockedMs.p50 },
      goal: { of: 'value', atMost: 1 },
      note:
        `p99 ${inUse.blockedMs.p99} ms; answered after ${inUse.answeredMs.p50} ms; ` +
        `${inUse.startsPerSecondAt8} starts/s at 8`,
    };
  },
};
