import { type Connection, dial } from '#client/index';
import { type Bench, takeTurns, timed } from './lib/bench.ts';
import { residentMb } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git } from './lib/run-program.ts';
import type { Workshop } from './lib/workshop.ts';
import { pushBySsh, pushed } from './push.ts';

const FEED = '[events]\nenabled = true\n';
const WATCHERS = 10;
const IDLE_WATCHERS = 1000;
const PER_TRANSACTION = 500;
const SETTLED_MS = 1000;
const P99 = 0.99;

/** Measures the change feed: its cost for pushes, how fast it is, and the memory of watchers. */
export const bench: Bench = {
  name: 'events',
  question: 'pushes with the change feed and without, 10 watchers of many changes, 1,000 silent watchers',
  async *run(workshop) {
    const local = await workshop.repository('small', 'client.git');
    const [on, off] = [await workshop.server(FEED), await workshop.server()];
    await using watched = await dial(`unix:${on.socket}`);
    await using plain = await dial(`unix:${off.socket}`);
    const withFeed = await workshop.repository('small', 'with.git');
    const without = await workshop.repository('small', 'without.git');
    const push = (branch: string, connection: Connection, to: StoredRepository) => async () =>
      (await pushed(local, branch, undefined, () => pushBySsh(local.path, branch, connection, to))).wallMs;
    const candidates = { with: push('with', watched, withFeed), without: push('without', plain, without) };
    await takeTurns(5, candidates);
    const samples = await takeTurns(workshop.quick ? 50 : 400, candidates);
    for (const [name, part] of [
      ['median', 0.5],
      ['p99', P99],
    ] as const)
      yield {
        name: `push, ${name}`,
        value: quantile(samples.with, part),
        unit: 'ms',
        reference: { name: 'without the feed', value: quantile(samples.without, part) },
        goal: { of: 'ratio', atMost: 1.02 },
      };

    const second = await workshop.repository('small', 'second.git');
    yield* throughput(workshop, { watched, plain }, [withFeed, second]);
    yield await memory(watched, on.pid);
  },
};

async function* throughput(
  { quick }: Workshop,
  { plain, watched: connection }: { readonly plain: Connection; readonly watched: Connection },
  repositories: readonly StoredRepository[],
) {
  const transactions = quick ? 10 : 60;
  const total = repositories.length * transactions * PER_TRANSACTION;
  const writeAll = (to: Connection, directory: string) =>
    timed(() =>
      Promise.all(repositories.map((repository) => write(to, repository, { directory, transactions }))),
    );
  const withoutMs = await writeAll(plain, 'refs/plain');
  const reading = Promise.all(
    Array.from({ length: WATCHERS }, async () => {
      let seen = 0;
      for await (const { events } of connection.events.watch({ storageName: 'default', fromNow: true })) {
        seen += events.length;
        if (seen >= total) return;
      }
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  let writingMs = 0;
  const ms = await timed(async () => {
    writingMs = await writeAll(connection, 'refs/watched');
    await reading;
  });
  yield {
    name: `events in a second, ${WATCHERS} watchers`,
    value: (total * 1000) / ms,
    unit: '/s',
    reference: { name: 'the writers without the feed', value: (total * 1000) / withoutMs },
    note: `${Math.round(ms - writingMs)} ms after the last of ${total} changes`,
  };
}

async function write(
  connection: Connection,
  { path, wire }: StoredRepository,
  { directory, transactions }: { readonly directory: string; readonly transactions: number },
): Promise<void> {
  const newObjectId = Buffer.from(await git(path, ['rev-parse', 'main']));
  for (let number = 0; number < transactions; number++) {
    const updates = Array.from({ length: PER_TRANSACTION }, (_, index) => ({
      reference: Buffer.from(`${directory}/${number}/${index}`),
      newObjectId,
    }));
    await connection.ref.updateReferences([{ repository: wire, updates }]);
  }
}

async function memory(connection: Connection, pid: number) {
  const before = residentMb(pid).now;
  const ending = new AbortController();
  const { signal } = ending;
  const opened = Array.from({ length: IDLE_WATCHERS }, async () => {
    const call = connection.events.watch({ storageName: 'default', fromNow: true }, { signal });
    const responses = call[Symbol.asyncIterator]();
    await responses.next();
    return responses;
  });
  await Promise.all(opened);
  const value = residentMb(pid).now - before;
  ending.abort();
  return {
    name: `memory of ${IDLE_WATCHERS} watchers`,
    value,
    unit: 'MB',
    goal: { of: 'value', atMost: 50 },
  } as const;
}

function quantile(times: readonly number[], part: number): number {
  const sorted = times.toSorted((one, other) => one - other);
  return sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)] ?? Number.NaN;
}
