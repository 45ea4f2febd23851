import { flag, list, nothing, number } from '#base/shape';
import type { SheddableCall, SheddingSharing } from '#calls/load-shedder';
import type { ProcessFamily } from '#workers/family';
import type { FamilyWorker } from '#workers/family-server';
import type { Link } from '#workers/link';
import { inTime } from '#workers/monitoring';
import { answer, asked, protocol, remote } from '#workers/protocol';

/** Questions of the load shedder to a worker. */
const SHEDDER = protocol('load shedder', {
  /** Returns the processor time of its most expensive calls, in milliseconds. */
  costs: asked(nothing, list(number)),
  /** Ends a call by its index in the last list. Returns whether it was running. */
  end: asked(number, flag),
});

/** Lets the load shedder, which runs in the first process, end calls of all processes. */
export function sheddingSharing(family: ProcessFamily | undefined): SheddingSharing | undefined {
  if (family === undefined) return undefined;
  return family.role === 'supervisor'
    ? { role: 'supervisor', others: () => callsOf(family.serving()) }
    : { role: 'worker', answer: (mostExpensive) => answerForCalls(family.link, mostExpensive) };
}

/** Returns the calls of the workers that respond in time. */
async function callsOf(workers: readonly FamilyWorker[]): Promise<readonly SheddableCall[]> {
  const all = workers.map(async ({ link }) => {
    const { costs, end } = remote(link, SHEDDER);
    const known = (await inTime((options) => costs(undefined, options))) ?? [];
    return known.map((cpuMs, index) => ({
      cpuMs,
      end: async () => (await inTime((options) => end(index, options))) === true,
    }));
  });
  return (await Promise.all(all)).flat();
}

function answerForCalls(link: Link, mostExpensive: () => Promise<readonly SheddableCall[]>): void {
  let last: readonly SheddableCall[] = [];
  answer(link, SHEDDER, {
    costs: async () => {
      last = await mostExpensive();
      return last.map(({ cpuMs }) => cpuMs);
    },
    end: async (index) => (await last[index]?.end()) ?? false,
  });
}
