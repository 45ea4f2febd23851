import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { GitalyError } from '#base/gitaly-error';
import { type Connection, commitFiles, gitalyServers, watchEvents } from '#client/index';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { seededRandom } from '#testkit/repositories/random-history';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { Replay, referencesOf } from './replay.ts';

const SECONDS = repetitions('FEED_SECONDS', { short: 2, long: 600 });
const WRITERS = 4;
/** Paths at which there is a repository, or none. */
const SLOTS = 6;
/**
 * Repositories that stay: a push that outlives its repository makes directories again, at which no
 * other one can be created.
 */
const STAYING = 2;
const BRANCHES = 6;
const PATHS = [
  ...Array.from({ length: SLOTS }, (_, slot) => `r/${slot}.git`),
  ...Array.from({ length: STAYING }, (_, number) => `s/${number}.git`),
];
const SLOW_MS = 3;
const SECOND_MS = 1000;
const RECONNECT_AFTER = 40;
const MIB = 1024 ** 2;
const JOURNAL_BYTES = MIB;
const seed = testSeed('FEED_SEED');
const target = (relativePath: string) => ({
  storageName: 'default',
  relativePath,
  glRepository: 'project-1',
});

type Random = () => number;

/** Follows the feed, and keeps what it knows. */
class Consumer {
  replay = new Replay();
  events = 0;
  restarts = 0;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  /** @param isEnough reports whether the connection is closed and opened again after an event. */
  constructor(connection: Connection, pauseMs: number, isEnough: (events: number) => boolean) {
    this.#running = this.#follow(connection, pauseMs, isEnough);
    this.#running.catch(() => {}); // reported by end
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  /** Rejects once the consumer has failed. */
  async check(): Promise<void> {
    await Promise.race([this.#running, Promise.resolve()]);
  }

  async #follow(
    connection: Connection,
    pauseMs: number,
    isEnough: (events: number) => boolean,
  ): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const after = this.replay.cursor;
      try {
        for await (const event of watchEvents(connection, { storageName: 'default', after, signal })) {
          this.replay.apply(event);
          this.events++;
          if (pauseMs > 0) await delay(pauseMs); // slow by intention
          if (isEnough(this.events)) break;
        }
      } catch (error) {
        if (!(error instanceof GitalyError) || error.code !== 'OUT_OF_RANGE') throw error;
        this.replay = new Replay(); // the server has said that something is missing
        this.restarts++;
      }
    }
  }
}

/** Changes references in every way, at random. Calls may fail. */
class Writer {
  readonly #connection: Connection;
  readonly #random: Random;
  readonly #servers: ReturnType<typeof gitalyServers>;
  readonly #work: string;
  readonly #url: string;
  #number = 0;

  constructor(parts: { connection: Connection; address: string; random: Random; work: string; url: string }) {
    this.#connection = parts.connection;
    this.#random = parts.random;
    this.#servers = gitalyServers({ default: { address: parts.address } });
    this.#work = parts.work;
    this.#url = parts.url;
  }

  async write(isOver: () => boolean): Promise<void> {
    const acts = this.#acts();
    while (!isOver()) {
      const act = acts[Math.floor(this.#random() * acts.length)];
      await act?.().catch(() => {}); // another writer was faster
    }
  }

  #slot(): string {
    return `r/${Math.floor(this.#random() * SLOTS)}.git`;
  }

  #staying(): string {
    return `s/${Math.floor(this.#random() * STAYING)}.git`;
  }

  #branch(): Buffer {
    return Buffer.from(`refs/heads/b${Math.floor(this.#random() * BRANCHES)}`);
  }

  #acts(): (() => Promise<unknown>)[] {
    const { ref, repository } = this.#connection;
    const options = { metadata: this.#servers };
    const write = () =>
      repository.writeRef({
        repository: target(this.#slot()),
        ref: this.#branch(),
        revision: Buffer.from('refs/heads/main'),
      });
    const commit = () => this.#commit(this.#slot());
    const push = () => this.#push();
    return [
      ...[write, write, commit, commit, push, push],
      () => ref.deleteRefs({ repository: target(this.#staying()), refs: [this.#branch(), this.#branch()] }),
      () => ref.deleteRefs({ repository: target(this.#slot()), refs: [this.#branch(), this.#branch()] }),
      () => repository.createRepository({ repository: target(this.#slot()) }),
      () =>
        repository.createFork(
          { repository: target(this.#slot()), sourceRepository: target(this.#slot()) },
          options,
        ),
      () =>
        repository.fetchSourceBranch(
          {
            repository: target(this.#slot()),
            sourceRepository: target(this.#slot()),
            sourceBranch: this.#branch(),
            targetRef: this.#branch(),
          },
          options,
        ),
      () => repository.renameRepository({ repository: target(this.#slot()), relativePath: this.#slot() }),
      () => repository.removeRepository({ repository: target(this.#slot()) }),
    ];
  }

  async #commit(path: string): Promise<void> {
    const name = `${this.#number++}-${this.#random()}`;
    const fields = { branchName: Buffer.from('main'), commitMessage: Buffer.from(name) };
    await commitFiles(this.#connection, { repository: target(path), user: USER, ...fields }, [
      { type: 'create', path: name, content: name },
    ]);
  }

  async #push(): Promise<void> {
    const work = ['-C', this.#work];
    await runGit([...work, 'commit', '-q', '--allow-empty', '-m', `${this.#number++}`]);
    const commands = [this.#branch(), this.#branch()].map((name, index) =>
      index === 0 ? `+HEAD:${name}` : `:${name}`,
    );
    await run('git', [...work, 'push', '-q', `${this.#url}/${this.#staying()}`, ...new Set(commands)]);
  }
}

async function expected(
  directory: string,
  connection: Connection,
): Promise<Map<string, Map<string, string>>> {
  const found = new Map<string, Map<string, string>>();
  for (const path of PATHS) {
    const { exists } = await connection.repository.repositoryExists({ repository: target(path) });
    if (exists) found.set(path, await referencesOf(join(directory, 'default', path)));
  }
  return found;
}

/** Ends consumers, also after a failure. */
function consumersEnd(consumers: readonly Consumer[]): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      for (const consumer of consumers) await consumer.end().catch(() => {}); // reported before
    },
  };
}

async function startWriters(
  gitaly: GitalyProcess,
  directory: string,
  url: string,
  random: Random,
): Promise<Writer[]> {
  const writers: Writer[] = [];
  for (let number = 0; number < WRITERS; number++) {
    const work = join(directory, `work-${number}`);
    await runGit(['init', '-q', '-b', 'main', work]);
    writers.push(
      new Writer({ connection: await gitaly.connect(), address: gitaly.address, random, work, url }),
    );
  }
  return writers;
}

/** Returns what a consumer knows without listing references, or what git knows of the same. */
function known({
  replay,
  references = replay.repositories,
}: {
  readonly replay: Replay;
  readonly references?: ReadonlyMap<string, ReadonlyMap<string, string>>;
}) {
  return [...references].filter(([path]) => !replay.unknown.has(path)).sort();
}

test('a slow consumer and one that reconnects know what git knows', async (context) => {
  context.diagnostic(`FEED_SEED=${seed}`);
  const random = seededRandom(seed);
  const directory = makeScratchDirectory('consumers');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  await using gitaly = await startGitalyProcess({
    directory,
    config: `[events]\nenabled = true\nmax_bytes = ${JOURNAL_BYTES}\n`,
  });
  await using connection = await gitaly.connect();
  await using gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
  });
  const slow = new Consumer(connection, SLOW_MS, () => false);
  const reconnecting = new Consumer(connection, 0, (events) => events % RECONNECT_AFTER === 0);
  const consumers = [slow, reconnecting];
  await using _ = consumersEnd(consumers);
  const writers = await startWriters(gitaly, directory, gateway.url, random);

  for (const path of PATHS.slice(SLOTS))
    await connection.repository.createRepository({ repository: target(path) });

  let isOver = false;
  const writing = Promise.all(writers.map((writer) => writer.write(() => isOver)));
  for (let second = 0; second < SECONDS; second++) {
    await delay(SECOND_MS);
    for (const consumer of consumers) await consumer.check();
  }
  isOver = true;
  await writing;

  const references = await expected(directory, connection);
  const late = new Consumer(connection, 0, () => false);
  for (const consumer of [...consumers, late]) {
    const isComplete = (): boolean =>
      isDeepStrictEqual(known(consumer), known({ replay: consumer.replay, references }));
    await until(isComplete).catch(() => {}); // the comparison shows the difference
    await consumer.end();
    assert.deepEqual(known(consumer), known({ replay: consumer.replay, references }));
    assert.ok(consumer.events > 0);
  }
  // A change that meets a removal may end in a resync: what follows is then checked less.
  const counts = [...consumers, late].map(
    ({ events, replay, restarts }) =>
      `${events} events, ${restarts} restarts, ${replay.unknown.size} resyncs`,
  );
  context.diagnostic(`${counts.join('; ')}; ${references.size} repositories`);
});
