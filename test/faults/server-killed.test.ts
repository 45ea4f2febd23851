import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesIn } from '#testkit/measure/process-usage';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { runGit } from '#testkit/repositories/run-git';
import { repetitions } from '#testkit/soak';
import { until } from '#testkit/until';
import { UserCommitFilesActionHeader_ActionType as ActionType } from '#wire/gen/operations_pb';
import { Arena, leftoversIn } from './arena.ts';
import { Pusher } from './pusher.ts';

const KILLS = repetitions('SERVER_KILLS', { short: 2, long: 20 });
/** Limit of further kills until one has interrupted something, and a push has come before one. */
const FURTHER_KILLS = 10;
/** A server lives up to this many times as long as a push takes. */
const LONGEST_LIFE = 2;
const CLIENTS_NOTICE_MS = 100;
const SEED = 8;

test(`a server that is killed at ${KILLS} points of mixed writes loses nothing`, async (context) => {
  const random = seededRandom(SEED);
  await using arena = await Arena.start();
  const pushers = await Promise.all([Pusher.start(arena, 'pusher-0'), Pusher.start(arena, 'pusher-1')]);
  const writer = await Writer.start(arena);
  let [pushes, interrupted, created, left] = [0, 0, 0, 0];
  let pushMs = await everythingWorks(arena, pushers);

  // One kill in five leaves nothing, and one in three comes before the first push.
  const isProven = (): boolean => left > 0 && pushes > 0;
  for (let kill = 0; kill < KILLS || (!isProven() && kill < KILLS + FURTHER_KILLS); kill++) {
    const load = new AbortController();
    const working = Promise.all([
      pushers[0].push(load.signal),
      pushers[1].push(load.signal),
      writer.write(load.signal),
      createAndRemove(arena, random, { stop: load.signal, onChange: () => created++ }),
    ]);
    // The first kill waits for the load; the others may come before it.
    await until(() => created > 0, 'a repository is created');
    await sleep(random() * LONGEST_LIFE * pushMs);
    arena.gitaly.kill('SIGKILL');
    await sleep(CLIENTS_NOTICE_MS); // otherwise they poll for seconds
    load.abort();
    const [first, second, commits] = await working;
    pushes += first + second + commits;

    await until(
      () => processesIn(join(arena.directory, 'default')).length === 0,
      () => `orphans: ${processesIn(join(arena.directory, 'default')).join('\n')}`,
    );
    for (const pusher of pushers) interrupted += (await pusher.check()) ? 1 : 0;
    interrupted += (await writer.check()) ? 1 : 0;
    left += leftoversIn(arena.directory).length;

    await arena.restart();
    assert.deepEqual(
      readdirSync(join(arena.directory, 'run')),
      [`gitaly-${arena.gitaly.pid}`],
      'the runtime directory of the dead',
    );
    await until(
      () => leftoversIn(arena.directory).length === 0,
      () => `left after the restart: ${leftoversIn(arena.directory).join('\n')}`,
    );
    pushMs = await everythingWorks(arena, pushers);
  }

  for (const { name } of [...pushers, writer]) await arena.fsck(name);
  assert.ok(left > 0, 'nothing was left that could have been removed');
  context.diagnostic(
    `${pushes} pushes, ${interrupted} of the interrupted ones had come through, ${created} ` +
      'repositories made and removed',
  );
  assert.ok(pushes > 0, 'there was no load');
});

/** A client that commits through a call, and knows what the server may have. */
class Writer {
  readonly name = 'writer';
  readonly #arena: Arena;
  #acknowledged = '';

  private constructor(arena: Arena) {
    this.#arena = arena;
  }

  static async start(arena: Arena): Promise<Writer> {
    const writer = new Writer(arena);
    const connection = await arena.gitaly.connect();
    await connection.repository.createRepository({ repository: WRITTEN, defaultBranch: Buffer.from('main') });
    await connection.close();
    await writer.#commit(0);
    return writer;
  }

  /** Commits files and makes tags until stopped or cut off. @returns how many commits were made. */
  async write(stop: AbortSignal): Promise<number> {
    let count = 0;
    try {
      for (; !stop.aborted; count++) await this.#commit(count);
    } catch (error) {
      assert.equal(error instanceof Error && 'code' in error && error.code, 'UNAVAILABLE', String(error));
    }
    return count;
  }

  /** The branch is at the last commit that was acknowledged, or at one on top of it. */
  async check(): Promise<boolean> {
    const path = this.#arena.serverPath(this.name);
    const [tip, parent] = (await runGit(['-C', path, 'log', '-1', '--format=%H %P', 'main'])).split(' ');
    assert.ok([tip, parent].includes(this.#acknowledged), `${tip} is neither old nor new`);
    await runGit(['-C', path, 'rev-list', '--objects', '--quiet', '--all']);
    const isNew = tip !== this.#acknowledged;
    this.#acknowledged = tip ?? '';
    return isNew;
  }

  async #commit(count: number): Promise<void> {
    const connection = await this.#arena.gitaly.connect();
    try {
      const value = {
        repository: WRITTEN,
        user: WRITER,
        branchName: Buffer.from('main'),
        commitMessage: Buffer.from(`commit ${count}`),
      };
      const header = { userCommitFilesRequestPayload: { case: 'header', value } } as const;
      const { branchUpdate } = await connection.operation.userCommitFiles([header, ...newFiles()]);
      this.#acknowledged = branchUpdate?.commitId ?? '';
      const [tagName, targetRevision] = [Buffer.from(`t-${randomUUID()}`), Buffer.from('main')];
      const message = Buffer.from('tag');
      await connection.operation.userCreateTag({
        repository: WRITTEN,
        user: WRITER,
        tagName,
        targetRevision,
        message,
      });
    } finally {
      await connection.close();
    }
  }
}

const WRITTEN = { storageName: 'default', relativePath: 'writer.git', glRepository: 'project-1' };
const WRITER = { glId: 'user-1', glUsername: 'w', name: Buffer.from('W'), email: Buffer.from('w@x') };
const FILES = 12;

/** Actions that make files of some 100 KB each under new names. */
function newFiles() {
  return Array.from({ length: FILES }, () => {
    const file = { action: ActionType.CREATE, filePath: Buffer.from(`d/${randomUUID()}`) };
    const payloads = [
      { case: 'header', value: file },
      { case: 'content', value: randomBytes(100_000) },
    ] as const;
    return payloads.map(
      (payload) =>
        ({
          userCommitFilesRequestPayload: {
            case: 'action',
            value: { userCommitFilesActionPayload: payload },
          },
        }) as const,
    );
  }).flat();
}

const changing = (number: number) => ({ storageName: 'default', relativePath: `changing-${number}.git` });
const CHANGING = 4;

/** Creates and removes repositories until it is stopped or disconnected. */
async function createAndRemove(
  arena: Arena,
  random: Random,
  { stop, onChange }: { readonly stop: AbortSignal; readonly onChange: () => void },
): Promise<void> {
  const connection = await arena.gitaly.connect();
  try {
    while (!stop.aborted) {
      const repository = changing(Math.floor(random() * CHANGING));
      const { exists } = await connection.repository.repositoryExists({ repository });
      if (exists) await connection.repository.removeRepository({ repository });
      else await connection.repository.createRepository({ repository });
      onChange();
    }
  } catch (error) {
    assert.equal(error instanceof Error && 'code' in error && error.code, 'UNAVAILABLE', String(error));
  }
  await connection.close();
}

/** Checks that everything works. @returns the duration of a push in milliseconds. */
async function everythingWorks(arena: Arena, pushers: readonly Pusher[]): Promise<number> {
  await until(async () => (await Promise.all(pushers.map((each) => each.isReachable()))).every(Boolean));
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
