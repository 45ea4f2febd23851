import { flag, text } from '#base/shape';
import type { MaintenanceRun, MaintenanceRuns, RecordedRuns } from '#domain/housekeeping/maintenance-runs';
import { abortError } from '#git/command/process/exit-error';
import type { Desk } from '#workers/desk';
import type { Held, Link } from '#workers/link';
import { answer, asked, held, protocol, remote } from '#workers/protocol';

/** The maintenance of all processes, which the supervisor records. Repositories are named by their paths. */
const MAINTENANCE = protocol('maintenance', {
  /** The answer is held if it is true: the run may begin. */
  tryStart: held(text, flag),
  takeOver: held(text, flag),
  isRunning: asked(text, flag),
});

export function remoteMaintenanceRuns(link: Link): RecordedRuns {
  const { isRunning, takeOver, tryStart } = remote(link, MAINTENANCE);
  return {
    async tryStart({ path }, signal) {
      const started = await tryStart(path, { signal });
      return started.value ? runOf(started) : undefined;
    },
    async takeOver({ path }, signal) {
      try {
        return runOf(await takeOver(path, { signal }));
      } catch (error) {
        throw signal.aborted ? abortError(signal) : error;
      }
    },
    isRunning: ({ path }) => isRunning(path),
  };
}

function runOf({ recalled, release }: Held): MaintenanceRun {
  return { signal: recalled, [Symbol.dispose]: release };
}

/** Lets workers run maintenance, which `runs` records. */
export function answerForMaintenance(desk: Desk, runs: MaintenanceRuns): void {
  const answered = (run: MaintenanceRun | undefined, recall: () => void) => {
    if (run === undefined) return { value: false };
    run.signal.addEventListener('abort', recall, { once: true });
    return { value: true, release: () => run[Symbol.dispose]() };
  };
  answer(desk, MAINTENANCE, {
    tryStart: async (path, { recall, signal }) => answered(await runs.tryStart({ path }, signal), recall),
    takeOver: async (path, { recall, signal }) => answered(await runs.takeOver({ path }, signal), recall),
    isRunning: (path) => runs.isRunning({ path }),
  });
}
