import { type Located, type MaintenanceRun, MaintenanceRuns } from '#domain/housekeeping/maintenance-runs';
import { abortError } from '#git/command/process/exit-error';
import type { Desk } from '#workers/desk';
import type { Held, Link } from '#workers/link';

const TRY_START = 'maintenance: try to start';
const TAKE_OVER = 'maintenance: take over';
const IS_RUNNING = 'maintenance: is running';

/** The maintenance of all processes, which the supervisor records. */
export class RemoteMaintenanceRuns extends MaintenanceRuns {
  readonly #link: Link;

  constructor(link: Link) {
    super();
    this.#link = link;
  }

  override async tryStart({ path }: Located, signal?: AbortSignal): Promise<MaintenanceRun | undefined> {
    const held = await this.#link.ask(TRY_START, path, { signal });
    return held.value === true ? runOf(held) : undefined;
  }

  override async takeOver({ path }: Located, signal: AbortSignal): Promise<MaintenanceRun> {
    try {
      return runOf(await this.#link.ask(TAKE_OVER, path, { signal }));
    } catch (error) {
      throw signal.aborted ? abortError(signal) : error;
    }
  }

  override async isRunning({ path }: Located): Promise<boolean> {
    return (await this.#link.ask(IS_RUNNING, path)).value === true;
  }
}

function runOf({ recalled, release }: Held): MaintenanceRun {
  return { signal: recalled, [Symbol.dispose]: release };
}

/** Lets workers run maintenance, which `runs` records. */
export function answerForMaintenance(desk: Desk, runs: MaintenanceRuns): void {
  const answer = (run: MaintenanceRun | undefined, recall: () => void) => {
    if (run === undefined) return { value: false };
    run.signal.addEventListener('abort', recall, { once: true });
    return { value: true, release: () => run[Symbol.dispose]() };
  };
  desk.onAsked(TRY_START, async (value, { recall, signal }) =>
    answer(await runs.tryStart({ path: String(value) }, signal), recall),
  );
  desk.onAsked(TAKE_OVER, async (value, { recall, signal }) =>
    answer(await runs.takeOver({ path: String(value) }, signal), recall),
  );
  desk.onAsked(IS_RUNNING, async (value) => ({ value: await runs.isRunning({ path: String(value) }) }));
}
