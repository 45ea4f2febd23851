import { networkInterfaces } from 'node:os';
import { type RunResult, run } from '#testkit/run-program';

/** Longest time that Node's timers take: the campaign has no own limit. */
const NO_LIMIT_MS = 2 ** 31 - 1;
/** Options that make a network, as root and as an ordinary user. */
const COMMANDS = [['-n'], ['-rn']] as const;
/** Without the variable, a test runner inside is independent. */
const SCRIPT = 'unset NODE_TEST_CONTEXT; ip link set lo up && exec "$0" "$@"';

/**
 * Reports whether this process reaches no network but loopback. Hostile values name hosts, and no
 * call may leave the machine because of a test.
 */
export function isIsolated(): boolean {
  return Object.keys(networkInterfaces()).every((name) => name === 'lo');
}

/** Returns the command that starts a program in such a network; `undefined` if that is not allowed. */
export async function isolatingCommand(): Promise<readonly [string, ...string[]] | undefined> {
  for (const flags of COMMANDS) {
    const [file, ...args] = ['unshare', ...flags, 'sh', '-c', SCRIPT] as const;
    const probe = await run(file, [...args, 'true']).catch(() => undefined); // there is no such program
    if (probe?.code === 0) return [file, ...args];
  }
  return undefined;
}

/** Runs a test file with such a command. */
export async function runIsolated(
  [program, ...args]: readonly [string, ...string[]],
  file: string,
  signal: AbortSignal,
): Promise<RunResult> {
  // Without `--test` it is one process, which ends with this test.
  const command = [process.execPath, '--conditions=source', '--test-reporter=tap', file];
  return await run(program, [...args, ...command], {
    signal,
    timeoutMs: NO_LIMIT_MS,
  });
}
