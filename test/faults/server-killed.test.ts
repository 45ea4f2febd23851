import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesIn } from '#testkit/process-usage';
import { type Random, seededRandom } from '#testkit/random-history';
import { runGit } from '#testkit/run-git';
import { until } from '#testkit/until';
import { Arena, client, commit, leftoversIn } from './arena.ts';

const KILLS = 20;
const PUSHERS = 2;
/** A server lives up to so many times as long as a push takes. */
const LONGEST_LIFE = 2;
const CLIENTS_NOTICE_MS = 100;
const SEED = 8;

test(`a server that is killed at ${KILLS} random points of pushes under load loses nothing and leaves nothing in the way`, async (context) => {
  const random = seededRandom(SEED);
  await using arena = await Arena.start();
  const pushers = await Promise.all(Array.from({ length: PUSHERS }, (_, number) => Pusher.start(arena, `pusher-${number}`)));
  let [pushes, interrupted, created] = [0, 0, 0];
  let pushMs = await everythingWorks(arena, pushers);

  for (let kill = 0; kill < KILLS; kill++) {
    const load = new AbortController();
    const working = Promise.all([
      ...pushers.map((pusher) => pusher.push(load.signal)),
      createAndRemove(arena, random, load.signal),
    ]);
    await sleep(random() * LONGEST_LIFE * pushMs);
    arena.gitaly.kill('SIGKILL');
    await sleep(CLIENTS_NOTICE_MS); // otherwise they ask for seconds whether it is back
    load.abort();
    const counts = await working;
    created += counts.pop() ?? 0;
    pushes += counts.reduce((sum, count) => sum + count, 0);

    await until(
      () => processesIn(join(arena.directory, 'default')).length === 0,
      () => `orphans: ${processesIn(join(arena.directory, 'default')).join('\n')}`,
    );
    for (const pusher of pushers) interrupted += (await pusher.check()) ? 1 : 0;

    await arena.restart();
    assert.deepEqual(
      readdirSync(join(arena.directory, 'run')),
      [`gitaly-${arena.gitaly.pid}`],
      'the runtime directory of the dead',
    );
    pushMs = await everythingWorks(arena, pushers);
  }

  for (const { name } of pushers) await arena.fsck(name);
  assert.deepEqual(
    leftoversIn(arena.directory).filter((name) => name.endsWith('.lock')),
    [],
  );
  context.diagnostic(
    `${pushes} pushes, ${interrupted} of the interrupted ones had come through, ${created} repositories made and removed`,
  );
  assert.ok(pushes > 0 && created > 0, 'there was no load');
});

/** One work tree that pushes commit after commit to a repository of its own, and knows what the server may have. */
class Pusher {
  readonly name: string;
  readonly #arena: Arena;
  readonly #work: string;
  #acknowledged: string;
  #latest: string;

  private constructor(arena: Arena, name: string, work: string, oid: string) {
    this.#arena = arena;
    this.name = name;
    this.#work = work;
    this.#acknowledged = oid;
    this.#latest = oid;
  }

  static async start(arena: Arena, name: string): Promise<Pusher> {
    const work = await arena.pushed(name);
    return new Pusher(arena, name, work, (await client(work, ['rev-parse', 'HEAD'])).stdout.trim());
  }

  /** Pushes until told to stop. @returns how many came through. */
  async push(stop: AbortSignal): Promise<number> {
    let count = 0;
    while (!stop.aborted) {
      await this.#commit();
      if ((await client(this.#work, ['push', '-q', 'origin', 'main'], stop)).code !== 0) break;
      this.#acknowledged = this.#latest;
      count += 1;
    }
    return count;
  }

  /** The reference is the last one that was acknowledged, or the one after it. @returns whether it is the latter. */
  async check(): Promise<boolean> {
    const found = await this.#arena.references(this.name);
    const latest = `refs/heads/main ${this.#latest}`;
    assert.ok([latest, `refs/heads/main ${this.#acknowledged}`].includes(found), `${found} is neither old nor new`);
    // All that the reference needs is there; the rest is checked at the end.
    await runGit(['-C', this.#arena.serverPath(this.name), 'rev-list', '--objects', '--quiet', 'refs/heads/main']);
    return found === latest && this.#latest !== this.#acknowledged;
  }

  async mustPush(): Promise<void> {
    await this.#commit();
    const { code, stderr } = await client(this.#work, ['push', '-q', 'origin', 'main']);
    assert.equal(code, 0, stderr);
    this.#acknowledged = this.#latest;
    assert.equal(await this.#arena.references(this.name), `refs/heads/main ${this.#latest}`);
  }

  async #commit(): Promise<void> {
    this.#latest = await commit(this.#work, 'more', `${Math.random()}\n`.repeat(5000));
  }
}

const changing = (number: number) => ({ storageName: 'default', relativePath: `changing-${number}.git` });
const CHANGING = 4;

/** Makes and removes repositories until told to stop or cut off. @returns how often. */
async function createAndRemove(arena: Arena, random: Random, stop: AbortSignal): Promise<number> {
  const connection = await arena.gitaly.connect();
  let count = 0;
  try {
    while (!stop.aborted) {
      const repository = changing(Math.floor(random() * CHANGING));
      const { exists } = await connection.repository.repositoryExists({ repository });
      if (exists) await connection.repository.removeRepository({ repository });
      else await connection.repository.createRepository({ repository });
      count += 1;
    }
  } catch (error) {
    assert.equal(error instanceof Error && 'code' in error && error.code, 'UNAVAILABLE', String(error));
  }
  await connection.close();
  return count;
}

/** @returns how long a push took, in milliseconds. */
async function everythingWorks(arena: Arena, pushers: readonly Pusher[]): Promise<number> {
  const startedAt = performance.now();
  await Promise.all(pushers.map((pusher) => pusher.mustPush()));
  const pushMs = performance.now() - startedAt;
  const connection = await arena.gitaly.connect();
  for (let number = 0; number < CHANGING; number++) {
    const repository = changing(number);
    const { exists } = await connection.repository.repositoryExists({ repository });
    if (!exists) await connection.repository.createRepository({ repository });
    await connection.repository.removeRepository({ repository });
  }
  return pushMs;
}
