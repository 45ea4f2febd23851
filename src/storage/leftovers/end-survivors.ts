import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { machineProcesses } from './working-processes.ts';

/** Variable of the git processes of a server with several processes: the id of the one that started it. */
export const STARTED_BY = 'GITALY_TS_STARTED_BY';

/** Time for git to remove its lock files, as after an abort. */
const GRACE_MS = 10_000;
const LOOK_EVERY_MS = 20;
const MAX_LOOK_EVERY_MS = 500;

/**
 * Ends the git processes that a killed process of this server has left, with the programs that they
 * have started: SIGTERM, and SIGKILL after ten seconds. Returns when they have ended. Where the
 * system does not report processes (not Linux), it does nothing.
 *
 * @param starter id of the process that was killed.
 */
export async function endSurvivors(
  starter: number,
  { graceMs = GRACE_MS, signal }: { readonly graceMs?: number; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const killAtMs = performance.now() + graceMs;
  let everyMs = LOOK_EVERY_MS;
  const told = new Set<number>();
  for (;;) {
    const groups = await groupsOf(starter);
    if (groups.size === 0) return;
    const isLate = performance.now() >= killAtMs;
    for (const group of groups) {
      if (isLate) end(group, 'SIGKILL');
      else if (!told.has(group)) end(group, 'SIGTERM');
      told.add(group);
    }
    await delay(everyMs, undefined, { ...(signal && { signal }) });
    everyMs = Math.min(2 * everyMs, MAX_LOOK_EVERY_MS);
  }
}

/** Returns the process groups. Each git has its own, with the programs that it has started. */
async function groupsOf(starter: number): Promise<ReadonlySet<number>> {
  const groups = new Set<number>();
  for await (const { group, pid } of machineProcesses()) {
    const variables = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    if (variables.split('\0').includes(`${STARTED_BY}=${starter}`)) groups.add(group);
  }
  return groups;
}

function end(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // It has ended meanwhile.
  }
}
