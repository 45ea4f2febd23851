import { BoundedMap } from '#base/memory/bounded-map';
import type { RunningCalls } from '#calls/running-calls';
import type { LoadMoment, LoadSensor } from '#domain/housekeeping/schedule/quiet/quiet-wait';
import type { MaintenanceScheduler } from '#rpc/server/interceptors/schedule-maintenance';
import type { RequestTarget } from '#rpc/server/named-targets';
import type { Desk } from '#workers/desk';
import type { Supervising } from '#workers/family';
import type { Link } from '#workers/link';

const WRITTEN = 'repository: written';
const READ = 'repository: read';
const RUNNING = 'calls: running';

/** Repositories whose first read a worker has reported; of more, a read is reported again. */
const MAX_SEEN = 10_000;
/** Maximum number of repositories with running calls in one message. */
const MAX_TARGETS = 1000;

/** A change of a repository. */
interface Written {
  readonly target: RequestTarget;
  readonly force: boolean;
}

/** The calls of a worker. */
interface Running {
  readonly calls: number;
  readonly targets: readonly RequestTarget[];
}

/** Returns what passes the calls of a worker on to the supervisor, which schedules maintenance. */
export function remoteScheduler(link: Link): Pick<MaintenanceScheduler, 'afterWrite' | 'onRead'> {
  const seen = new BoundedMap<string, true>({ maxEntries: MAX_SEEN, order: 'insertion' });
  return {
    afterWrite: (target, { force }) => link.tell(WRITTEN, { target: named(target), force } satisfies Written),
    onRead: (target) => {
      const key = `${target.storageName}\0${target.relativePath}`;
      if (seen.get(key) === true) return;
      seen.set(key, true);
      link.tell(READ, named(target));
    },
  };
}

/** Lets workers report their calls to the scheduler. The types of values are those of the function above. */
export function answerForScheduler(desk: Desk, scheduler: MaintenanceScheduler): void {
  desk.onTold(WRITTEN, (value) => {
    const { target, force } = value as Written;
    scheduler.afterWrite(target, { force });
  });
  desk.onTold(READ, (value) => scheduler.onRead(value as RequestTarget));
}

/** Answers the supervisor about the calls of a worker. */
export function answerForLoad(link: Link, calls: RunningCalls): void {
  link.onAsked(RUNNING, () => {
    const running = calls.list();
    const targets = running.flatMap((call) => call.targets?.repository ?? []);
    return {
      value: { calls: running.length, targets: targets.slice(0, MAX_TARGETS).map(named) } satisfies Running,
    };
  });
}

/** Returns a sensor that includes the calls of workers. */
export function familySensor(own: LoadSensor, { workers }: Supervising): LoadSensor {
  const runningOf = async ({ link }: { readonly link: Link }): Promise<Running> => {
    try {
      return (await link.ask(RUNNING)).value as Running; // from `answerForLoad`
    } catch {
      return { calls: 0, targets: [] }; // it has ended
    }
  };
  return {
    start: () => own.start(),
    async read(): Promise<LoadMoment> {
      const [{ host, targets }, others] = await Promise.all([
        own.read(),
        Promise.all(workers().map(runningOf)),
      ]);
      const calls = others.reduce((sum, other) => sum + other.calls, host.calls);
      return { host: { ...host, calls }, targets: [...targets, ...others.flatMap((other) => other.targets)] };
    },
  };
}

/** Returns the names of a repository alone: a request's target may have further fields. */
function named({ storageName, relativePath, glRepository, glProjectPath }: RequestTarget): RequestTarget {
  return { storageName, relativePath, glRepository, glProjectPath };
}
