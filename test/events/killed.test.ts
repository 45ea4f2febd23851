import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RepositoryEvent } from '#client/index';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { processesIn } from '#testkit/measure/process-usage';
import { seededRandom } from '#testkit/repositories/random-history';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { checkReplay, createWritten, replayed, writeOnce } from './writers.ts';

const KILLS = repetitions('FEED_KILLS', { short: 3, long: 30 });
const WRITERS = 6;
const MAX_LIFE_MS = 1200;
const ORPHANS_MS = 3000;
const JOURNAL_BYTES = 65_536;
const seed = testSeed('FEED_SEED');

/** A work tree whose commits are pushed over HTTP. */
class Pusher {
  readonly #work: string;
  readonly #url: string;
  #commits = 0;

  private constructor(work: string, url: string) {
    this.#work = work;
    this.#url = url;
  }

  static async create(work: string, url: string): Promise<Pusher> {
    await runGit(['init', '-q', '-b', 'main', work]);
    return new Pusher(work, url);
  }

  /** Pushes until the server is gone. */
  async push(random: () => number, isGone: () => boolean): Promise<void> {
    while (!isGone()) {
      await runGit(['-C', this.#work, 'commit', '-q', '--allow-empty', '-m', `${this.#commits++}`]);
      const branches = [1, 2, 3].map(() => `refs/heads/pushed-${Math.floor(random() * 4)}`);
      const commands = [...new Set(branches)].map((name) => (random() < 0.2 ? `:${name}` : `+HEAD:${name}`));
      await run('git', ['-C', this.#work, 'push', '-q', this.#url, ...commands]);
    }
  }
}

/** Writes until the server is gone. */
async function write(connection: Connection, writer: number, random: () => number): Promise<void> {
  for (;;) {
    const code = await writeOnce(connection, writer, random);
    if (code === 'UNAVAILABLE' || code === 'CANCELLED') return;
  }
}

test('a server that is killed at any time loses no change and invents none', async (context) => {
  context.diagnostic(`FEED_SEED=${seed}`);
  const random = seededRandom(seed);
  const directory = makeScratchDirectory('feed');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const start = (): Promise<GitalyProcess> =>
    startGitalyProcess({
      directory,
      // So small that a part is compacted again and again.
      config: `[events]\nenabled = true\nmax_bytes = ${JOURNAL_BYTES}\n`,
    });
  let gitaly = await start();
  context.after(() => gitaly[Symbol.asyncDispose]());
  const setUp = await gitaly.connect();
  await createWritten(setUp);
  await setUp.close();

  const gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
  });
  context.after(() => gateway.close());
  const pusher = await Pusher.create(join(directory, 'work'), `${gateway.url}/a.git`);

  for (let kill = 0; kill < KILLS; kill++) {
    let isGone = false;
    const connections = await Promise.all(Array.from({ length: WRITERS }, () => gitaly.connect()));
    const writing = connections.map((connection, writer) => write(connection, writer, random));
    writing.push(pusher.push(random, () => isGone));
    await delay(50 + random() * MAX_LIFE_MS); // a random moment of the writes
    gitaly.kill('SIGKILL');
    isGone = true;
    await gitaly.exited;
    await Promise.all(writing);
    await Promise.all(connections.map((connection) => connection.close()));
    await gitaly[Symbol.asyncDispose]();
    gitaly = await start();
  }

  await using connection = await gitaly.connect();
  // A push may have outlived its server; the feed looks every two seconds.
  await until(
    () => !processesIn(join(directory, 'default')).some((command) => command.includes('receive-pack')),
  );
  await delay(ORPHANS_MS);
  const { events, replay } = await replayed(connection);
  const kinds = new Map<RepositoryEvent['kind'], number>();
  for (const { kind } of events) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  context.diagnostic(JSON.stringify(Object.fromEntries(kinds)));
  // On a slow machine the journal no longer has what was reported while a change ran. One kill may
  // be the reason of several.
  const resyncs = kinds.get('resync') ?? 0;
  assert.ok(resyncs <= KILLS / 2 + 3, `${resyncs} times a repository is to be listed`);
  const storage = join(directory, 'default');
  await checkReplay(replay, connection, { storage, writers: WRITERS, mayList: true });
});
