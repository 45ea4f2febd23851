import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { dial } from '#client/index';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { openDescriptors, openFilesIn, processesIn, residentBytes } from '#testkit/measure/process-usage';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { randomHistory, seededRandom } from '#testkit/repositories/random-history';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { extent, repetitions } from '#testkit/soak';
import { until } from '#testkit/until';
import { isAlive } from '#tools/wrapper/find-server';
import { client, commit } from './faults/arena.ts';
import { callsOf, MIX } from './mixed-load/calls.ts';
import { type RestartingGitaly, startRestarting } from './restart/restarting.ts';

const SECONDS = repetitions('SOAK_SECONDS', { short: 3, long: 360 });
/** A slice of the load ends with a pause, in which the server is checked. */
const SLICES = extent('SOAK_SLICES', { short: 2, long: 6 });
const REPOSITORIES = 6;
const COMMITS = 120;
const CALLERS = 8;
const PUSHERS = 3;
/** Idle processes live ten seconds, and packs stay open for 10 to 15. */
const GONE_AFTER_MS = 60_000;
const DESCRIPTORS_LEFT = 5;
/** Normal variation of a heap between two processes, or two states of one. */
const GROWTH_BYTES = 96 * 1024 ** 2;

interface Sample {
  readonly pid: number;
  readonly residentBytes: number;
  readonly descriptors: number;
}

test('a mix of calls, pushes, maintenance and restarts fails nothing and leaves nothing', {
  timeout: (SECONDS + 600) * 1000,
}, async (context) => {
  await using gitaly = await startRestarting({ maintenance: true });
  const names = Array.from({ length: REPOSITORIES }, (_, index) => `mixed-${index}`);
  const storage = join(gitaly.directory, 'default');
  for (const [index, name] of names.entries()) makeRepository(join(storage, `${name}.git`), index);
  await using load = await MixedLoad.prepare(gitaly, names);

  const samples: Sample[] = [];
  let restarts = 0;
  for (let slice = 0; slice < SLICES; slice++) {
    const stop = new AbortController();
    const running = load.run(stop.signal);
    const sliceMs = (SECONDS * 1000) / SLICES;
    await delay(sliceMs / 2);
    // The process of the first slice goes on through the second, to see whether it grows.
    if (slice % 2 === 1) {
      const old = gitaly.pid();
      await gitaly.restart();
      restarts++;
      await until(() => !isAlive(old), 'the old process does not end');
    }
    await delay(sliceMs / 2);
    stop.abort();
    await running;
    samples.push(await restingSample(gitaly, storage));
  }

  for (const line of load.summary()) context.diagnostic(line);
  for (const [index, { pid, residentBytes: bytes, descriptors }] of samples.entries())
    context.diagnostic(
      `after slice ${index + 1}: process ${pid}, ${Math.round(bytes / 1024 ** 2)} MiB, ` +
        `${descriptors} descriptors`,
    );
  assert.deepEqual(load.failures, []);
  assert.ok(load.isComplete, load.summary().join('\n'));
  assert.equal(restarts, Math.floor(SLICES / 2));
  const [first] = samples;
  assert.ok(first !== undefined);
  for (const sample of samples) {
    assert.ok(sample.descriptors <= first.descriptors + DESCRIPTORS_LEFT, JSON.stringify(samples));
    assert.ok(sample.residentBytes <= first.residentBytes + GROWTH_BYTES, JSON.stringify(samples));
  }
  await load.check(storage);
});

/** Clients of all kinds, and what they have done. */
class MixedLoad implements AsyncDisposable {
  readonly failures: string[] = [];
  readonly #counts = new Map<string, number>();
  /** The commit that a pusher knows to be on the server, by its work tree. */
  readonly #pushed = new Map<string, { readonly name: string; readonly branch: string; oid: string }>();
  readonly #names: readonly string[];
  readonly #directory: string;
  readonly #url: string;
  readonly #calls: readonly (() => ReturnType<typeof callsOf>)[];
  readonly #resources: AsyncDisposableStack;

  private constructor(parts: {
    names: readonly string[];
    directory: string;
    url: string;
    calls: readonly (() => ReturnType<typeof callsOf>)[];
    resources: AsyncDisposableStack;
  }) {
    this.#names = parts.names;
    this.#directory = parts.directory;
    this.#url = parts.url;
    this.#calls = parts.calls;
    this.#resources = parts.resources;
  }

  static async prepare({ first }: RestartingGitaly, names: readonly string[]): Promise<MixedLoad> {
    await using resources = new AsyncDisposableStack();
    const directory = resources.adopt(makeScratchDirectory('mixed'), (path) =>
      rmSync(path, { recursive: true, force: true }),
    );
    const gateway = resources.adopt(
      await startHttpGateway({
        gitaly: { address: first.address },
        listen: { host: '127.0.0.1', port: 0 },
        mapping: storageMapping('default'),
      }),
      (running) => running.close(),
    );
    // Only calls that no server has started are sent again.
    const connections = await Promise.all(
      Array.from({ length: CALLERS }, () => dial(first.address, { retry: false })),
    );
    for (const connection of connections) resources.adopt(connection, (each) => each.close());
    const calls = connections.map((connection, index) => {
      const random = seededRandom(index);
      return () => callsOf(connection, names[Math.floor(random() * names.length)] ?? '', index);
    });
    const load = new MixedLoad({ names, directory, url: gateway.url, calls, resources: resources.move() });
    for (let index = 0; index < PUSHERS; index++) await load.#startPusher(index);
    return load;
  }

  /** True if every kind of call was made, and there were pushes and clones. */
  get isComplete(): boolean {
    return [...MIX, 'push', 'clone'].every((kind) => (this.#counts.get(kind) ?? 0) > 0);
  }

  summary(): string[] {
    return [[...this.#counts].map(([kind, count]) => `${kind} ${count}`).join(', ')];
  }

  /** Runs all clients until the signal is aborted. Failures are collected. */
  async run(signal: AbortSignal): Promise<void> {
    const callers = this.#calls.map((calls, index) => this.#callOn(calls, index, signal));
    const pushers = [...this.#pushed.keys()].map((work) => this.#pushOn(work, signal));
    await Promise.all([...callers, ...pushers]);
  }

  /** Compares the branches of the pushers with the server's, and checks all repositories. */
  async check(storage: string): Promise<void> {
    for (const { name, branch, oid } of this.#pushed.values())
      assert.equal(await runGit(['-C', join(storage, `${name}.git`), 'rev-parse', branch]), oid);
    for (const name of this.#names)
      await runGit(['-C', join(storage, `${name}.git`), 'fsck', '--strict', '--no-dangling']);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }

  async #startPusher(index: number): Promise<void> {
    const name = this.#names[index % this.#names.length] ?? '';
    const work = join(this.#directory, `work-${index}`);
    await runGit(['clone', '-q', `${this.#url}/${name}.git`, work]);
    this.#pushed.set(work, { name, branch: `pusher-${index}`, oid: '' });
    await this.#push(work);
  }

  async #callOn(calls: () => ReturnType<typeof callsOf>, index: number, signal: AbortSignal): Promise<void> {
    // Everybody begins elsewhere, so that all kinds run at once.
    for (let turn = index * 5; !signal.aborted; turn++) {
      const kind = MIX[turn % MIX.length] ?? 'FindCommit';
      await this.#count(kind, calls()[kind]);
    }
  }

  async #pushOn(work: string, signal: AbortSignal): Promise<void> {
    for (let turn = 0; !signal.aborted; turn++) {
      await this.#count('push', () => this.#push(work));
      const into = `${work}-clone`;
      const name = this.#names[turn % this.#names.length] ?? '';
      await this.#count('clone', async () => {
        const { code, stderr } = await client(this.#directory, [
          'clone',
          '-q',
          '--bare',
          `${this.#url}/${name}.git`,
          into,
        ]);
        assert.equal(code, 0, stderr);
      });
      rmSync(into, { recursive: true, force: true });
    }
  }

  async #push(work: string): Promise<void> {
    const state = this.#pushed.get(work);
    assert.ok(state !== undefined);
    const oid = await commit(work, 'pushed', `${Math.random()}\n`.repeat(500));
    const { code, stderr } = await client(work, ['push', '-q', 'origin', `HEAD:refs/heads/${state.branch}`]);
    assert.equal(code, 0, stderr);
    state.oid = oid;
  }

  async #count(kind: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
      this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    } catch (error) {
      this.failures.push(`${kind}: ${String(error)}`);
    }
  }
}

/** Returns what the server uses when nothing runs any more. */
async function restingSample(gitaly: RestartingGitaly, storage: string): Promise<Sample> {
  const pid = gitaly.pid();
  const inUse = (): string[] => [...processesIn(storage), ...openFilesIn(pid, storage)];
  await until(
    () => inUse().length === 0,
    () => `in use: ${inUse().join(', ')}`,
    GONE_AFTER_MS,
  );
  return { pid, residentBytes: residentBytes(pid), descriptors: openDescriptors(pid) };
}

function makeRepository(directory: string, seed: number): void {
  initRepository(directory);
  gitOutput(directory, ['fast-import', '--quiet', '--done'], randomHistory(seededRandom(seed), COMMITS));
}
