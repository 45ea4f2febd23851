import { BoundedMap } from '#base/memory/bounded-map';
import { flag, list, nothing, number, object, type Shaped, text } from '#base/shape';
import type { RunningCalls } from '#calls/running-calls';
import type { LoadMoment, LoadSensor } from '#domain/housekeeping/schedule/quiet/quiet-wait';
import type { MaintenanceScheduler } from '#rpc/server/interceptors/schedule-maintenance';
import type { RequestTarget } from '#rpc/server/named-targets';
import type { Desk } from '#workers/desk';
import type { Supervising } from '#workers/family';
import type { Link } from '#workers/link';
import { answer, asked, protocol, remote, told } from '#workers/protocol';

const target = object({ storageName: text, relativePath: text, glRepository: text, glProjectPath: text });

/** Calls in repositories, which decide on their maintenance. */
const SCHEDULER = protocol('scheduler', {
  written: told(object({ target, force: flag })),
  read: told(target),
});

/** The calls of a worker. */
const running = object({ calls: number, targets: list(target) });
const LOAD = protocol('load', { running: asked(nothing, running) });

/** Repositories whose first read a worker has reported; of more, a read is reported again. */
const MAX_SEEN = 10_000;
/** Maximum number of repositories with running calls in one message. */
const MAX_TARGETS = 1000;

/** Returns what passes the calls of a worker on to the supervisor, which schedules maintenance. */
export function remoteScheduler(link: Link): Pick<MaintenanceScheduler, 'afterWrite' | 'onRead'> {
  const seen = new BoundedMap<string, true>({ maxEntries: MAX_SEEN, order: 'insertion' });
  const { read, written } = remote(link, SCHEDULER);
  return {
    afterWrite: (repository, { force }) => written({ target: named(repository), force }),
    onRead: (repository) => {
      const key = `${repository.storageName}\0${repository.relativePath}`;
      if (seen.get(key) === true) return;
      seen.set(key, true);
      read(named(repository));
    },
  };
}

/** Lets workers report their calls to the scheduler. */
export function answerForScheduler(desk: Desk, scheduler: MaintenanceScheduler): void {
  answer(desk, SCHEDULER, {
    written: ({ force, target: repository }) => scheduler.afterWrite(repository, { force }),
    read: (repository) => scheduler.onRead(repository),
  });
}

/** Answers the supervisor about the calls of a worker. */
export function answerForLoad(link: Link, calls: RunningCalls): void {
  answer(link, LOAD, {
    running: () => {
      const all = calls.list();
      const targets = all.flatMap((call) => call.targets?.repository ?? []);
      return { calls: all.length, targets: targets.slice(0, MAX_TARGETS).map(named) };
    },
  });
}

/** Returns a sensor that includes the calls of workers. */
export function familySensor(own: LoadSensor, { workers }: Supervising): LoadSensor {
  const runningOf = async ({ link }: { readonly link: Link }): Promise<Shaped<typeof running>> => {
    try {
      return await remote(link, LOAD).running();
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
