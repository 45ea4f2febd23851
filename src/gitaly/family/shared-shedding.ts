import type { SheddableCall, SheddingSharing } from '#calls/load-shedder';
import type { Family } from '#workers/family';
import type { FamilyWorker } from '#workers/family-server';
import type { Link } from '#workers/link';
import { askInTime } from '#workers/monitoring';

/** Asked of a worker; answered with the processor time of its most expensive calls, in milliseconds. */
const COSTS = 'load shedder: costs';
/**
 * Sent to a worker with an index of the last list; the response says whether the call was running.
 */
const END = 'load shedder: end';

/** Lets the load shedder, which runs in the first process, end calls of all processes. */
export function sheddingSharing(family: Family | undefined): SheddingSharing | undefined {
  if (family === undefined) return undefined;
  return family.role === 'supervisor'
    ? { role: 'supervisor', others: () => callsOf(family.serving()) }
    : { role: 'worker', answer: (mostExpensive) => answerForCalls(family.link, mostExpensive) };
}

/** Returns the calls of the workers that respond in time. */
async function callsOf(workers: readonly FamilyWorker[]): Promise<readonly SheddableCall[]> {
  const all = workers.map(async ({ link }) => {
    const costs = ((await askInTime(link, COSTS)) ?? []) as readonly number[]; // of `answerForCalls`
    return costs.map((cpuMs, index) => ({
      cpuMs,
      end: async () => (await askInTime(link, END, index)) === true,
    }));
  });
  return (await Promise.all(all)).flat();
}

function answerForCalls(link: Link, mostExpensive: () => Promise<readonly SheddableCall[]>): void {
  let last: readonly SheddableCall[] = [];
  link.onAsked(COSTS, async () => {
    last = await mostExpensive();
    return { value: last.map(({ cpuMs }) => cpuMs) };
  });
  link.onAsked(END, async (index) => ({ value: (await last[Number(index)]?.end()) ?? false }));
}
