import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { InProcess } from '#git/command/in-process';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { initRepository } from '#testkit/repositories/init-repository';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';

const LENGTH_MS = repetitions('OBJECTS_BESIDE_WRITERS_MS', { short: 3_000, long: 60_000 });
const SEED = testSeed();
/** Share of the commands of git that are killed. */
const KILLED = 0.3;
const MAX_LIFE_MS = 40;
const READERS = 4;
const READS_AT_ONCE = 8;
const MAX_OBJECTS = 2_000;
/** Files of 10 KiB, which are read from disk each time. */
const LINES = 2_200;

const MAINTENANCE = [
  ['repack', '-adq'],
  ['repack', '-dq'],
  ['repack', '-adq', '--write-midx'],
  ['multi-pack-index', 'write'],
  ['multi-pack-index', 'expire'],
  ['prune-packed', '-q'],
  ['prune', '--expire=now'],
  ['gc', '-q', '--prune=now'],
  ['pack-refs', '--all'],
] as const;

const root = makeScratchDirectory('objects-beside-writers');
const answers = { in_process: 0, git: 0 };
const observer = {
  onAnswered: () => void answers.in_process++,
  onFellBack: () => void answers.git++,
};
const fixture = await GitFixture.start({ inProcess: new InProcess({ observer }) });
after(async () => {
  await fixture.close();
  rmSync(root, { recursive: true });
});

/** A repository that git changes all the time, and the objects that its branches contain. */
class BusyRepository {
  readonly path: string;
  readonly contents = new Map<string, string>();
  readonly #random: Random;
  #tip = '';
  #number = 0;

  constructor(path: string, random: Random) {
    this.path = path;
    this.#random = random;
    initRepository(path);
  }

  /** Commits a file that changes a little each time. Its objects count when the branch has them. */
  async commit(): Promise<void> {
    const number = this.#number++;
    const text = Array.from({ length: LINES }, (_, line) => `${line === number % LINES ? 'x' : line}\n`).join(
      '',
    );
    const blob = await this.#git(['hash-object', '-w', '--stdin'], text);
    const tree = await this.#git(['mktree'], `100644 blob ${blob}\tfile\n`);
    const parent = this.#tip === '' ? [] : ['-p', this.#tip];
    const commit = await this.#git(['commit-tree', '-m', `${number}`, ...parent, tree]);
    await this.#git(['update-ref', 'refs/heads/main', commit]);
    this.#tip = commit;
    this.contents.set(blob, text);
    this.contents.set(commit, `tree ${tree}\n`);
  }

  /** Repacks, prunes or collects, and kills that before its end now and then. */
  async maintain(): Promise<void> {
    const args = MAINTENANCE[Math.floor(this.#random() * MAINTENANCE.length)] ?? [];
    const isKilled = this.#random() < KILLED;
    const signal = isKilled ? AbortSignal.timeout(Math.floor(this.#random() * MAX_LIFE_MS)) : undefined;
    await run('git', args, { cwd: this.path, env: GIT_ENVIRONMENT, ...(signal && { signal }) });
    // A killed git leaves its locks.
    if (isKilled) await run('find', ['.', '-name', '*.lock', '-delete'], { cwd: this.path });
  }

  /** An unreachable object: pruning it must not disturb readers of others. */
  async litter(): Promise<void> {
    await this.#git(['hash-object', '-w', '--stdin'], `litter ${this.#number} ${this.#random()}`);
  }

  /** Objects that prune removes before a branch has them are written again. */
  async #git(args: readonly string[], input = ''): Promise<string> {
    const { code, stdout, stderr } = await run('git', args, { cwd: this.path, env: GIT_ENVIRONMENT, input });
    assert.equal(code, 0, stderr);
    return stdout.trim();
  }
}

test(`objects are read while git writes, repacks, prunes and dies (SEED=${SEED})`, async (context) => {
  const random = seededRandom(SEED);
  const busy = new BusyRepository(join(root, 'busy.git'), random);
  const repository = fixture.open(busy.path);
  await busy.commit();
  const end = performance.now() + LENGTH_MS;
  const isOver = (): boolean => performance.now() >= end;
  let reads = 0;

  const change = async (): Promise<void> => {
    for (let round = 0; !isOver(); round++) {
      // prune would remove the objects of a commit that is being made.
      if (round % 3 === 0 && busy.contents.size < MAX_OBJECTS) await busy.commit();
      else if (round % 3 === 1) await busy.litter();
      else await busy.maintain();
    }
  };
  const read = async (): Promise<void> => {
    while (!isOver()) {
      const oids = [...busy.contents.keys()];
      const some = Array.from(
        { length: READS_AT_ONCE },
        () => oids[Math.floor(random() * oids.length)] ?? '',
      );
      await Promise.all(
        some.map(async (oid) => {
          const object = await repository.objects.readObject(oid);
          const text = object?.data.toString();
          const expected = busy.contents.get(oid) ?? '';
          assert.ok(object?.type === 'blob' ? text === expected : text?.startsWith(expected), oid);
          reads++;
        }),
      );
      await new Promise(setImmediate);
    }
  };
  await Promise.all([change(), ...Array.from({ length: READERS }, read)]);

  context.diagnostic(`${reads} reads, ${answers.in_process} in process, ${answers.git} by git`);
  assert.ok(reads > 100 && busy.contents.size > 4, `${reads} reads of ${busy.contents.size} objects`);
  assert.ok(answers.git < reads / 20, `${answers.git} of ${reads} by git`);
});
