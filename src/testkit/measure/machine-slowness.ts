/** CPU time of `work` on the machine that the limits of tests are for. */
const USUAL_WORK_MS = 28;
/** Limits grow by this factor at most. */
const MAX_SLOWNESS = 3;
/** The least one counts: garbage is not collected, and code not compiled, each time. */
const ATTEMPTS = 8;

/**
 * Returns how many times as long as usual this machine takes now, at least 1, by which limits of
 * CPU time are multiplied: the same machine may take two or three times as long an hour later.
 */
export function machineSlowness(): number {
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
