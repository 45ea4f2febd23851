import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { renameRepository } from '#storage/lifecycle/rename-repository';
import type { Repository } from '#storage/repository';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { planAsNeeded, planEverything } from '../housekeeping/decisions/plan-maintenance.ts';
import { Housekeeping } from '../housekeeping/housekeeping.ts';
import { MaintenanceRuns } from '../housekeeping/maintenance-runs.ts';
import { createPool } from './create-pool.ts';
import { deletePool } from './delete-pool.ts';
import { disconnectMember } from './disconnect-member.ts';
import { fetchIntoPool } from './fetch-into-pool.ts';
import { linkMember } from './link-member.ts';

const POOL = { storageName: 'default', relativePath: `@pools/4e/07/4e07${'0'.repeat(60)}.git` };
/** Beyond every grace period: maintenance drops whatever nothing leads to. */
const MONTH_MS = 30 * 24 * 60 * 60 * 1000;
const STEPS = 40;
const MEMBERS = ['a.git', 'b.git', 'c.git'];
const FILES = 6;
const { signal } = new AbortController();

/** A pool with members, to which random things happen. */
class World implements AsyncDisposable {
  readonly fixture: StorageFixture;
  readonly members: readonly Repository[];
  readonly #random: Random;
  readonly #maintenance = new MaintenanceRuns();
  readonly #housekeeping = new Housekeeping(this.#maintenance);
  readonly #done: string[] = [];

  constructor(fixture: StorageFixture, random: Random, objectFormat: 'sha1' | 'sha256') {
    this.fixture = fixture;
    this.#random = random;
    this.members = MEMBERS.map((name) => fixture.init(name, { commits: 1, objectFormat }));
  }

  get history(): string {
    return this.#done.join('\n');
  }

  async step(): Promise<void> {
    const member = this.#pick(this.members);
    const actions: Readonly<Record<string, () => Promise<unknown>>> = {
      push: async () => this.#push(member),
      'push again': async () => this.#push(member),
      'delete a branch': async () => this.#deleteBranch(member),
      link: async () =>
        linkMember(await this.#pool(), member, { borrowers: this.fixture.storages.borrowers, signal }),
      disconnect: () => disconnectMember(member, { maintenance: this.#maintenance, signal }),
      fetch: async () => this.#fetch(await this.#pool(), member),
      'optimize the member': () => this.#optimize(member),
      'optimize the pool': async () => this.#optimize(await this.#pool()),
      'delete the pool': async () => {
        const pool = await this.#pool();
        await deletePool(this.fixture.storages, pool, { maintenance: this.#maintenance, signal });
        assert.equal(existsSync(pool.path), false);
      },
    };
    const name = this.#pick(Object.keys(actions));
    this.#done.push(`${name} (${member.relativePath})`);
    await actions[name]?.();
  }

  /** Checks that every member has everything that it needs. */
  check(): void {
    for (const { path } of this.members) {
      this.#git(path, ['rev-list', '--objects', '--all', '--quiet']);
      this.#git(path, ['fsck', '--connectivity-only', '--no-dangling']);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fixture[Symbol.asyncDispose]();
  }

  /** git does not write an object that the pool has, so that members come to depend on it. */
  #push({ path }: Repository): void {
    const entries = Array.from({ length: 3 }, (_, index) => {
      const content = `content ${Math.floor(this.#random() * FILES)}\n`;
      return `100644 blob ${this.#git(path, ['hash-object', '-w', '--stdin'], content)}\tf${index}`;
    });
    const tree = this.#git(path, ['mktree'], `${entries.join('\n')}\n`);
    const branch = `refs/heads/b${Math.floor(this.#random() * 4)}`;
    const parent = this.#random() < 0.5 ? ['-p', this.#git(path, ['rev-parse', 'main'])] : [];
    const oid = this.#git(path, ['commit-tree', '-m', 'change', ...parent, tree]);
    this.#git(path, ['update-ref', branch, oid]);
  }

  #deleteBranch({ path }: Repository): void {
    const branches = this.#git(path, ['for-each-ref', '--format=%(refname)', 'refs/heads/b*']).split('\n');
    const branch = this.#pick(branches);
    if (branch !== '') this.#git(path, ['update-ref', '-d', branch]);
  }

  async #fetch(pool: Repository, member: Repository): Promise<void> {
    const housekeeping = this.#housekeeping;
    await fetchIntoPool(pool, member, { housekeeping, hooks: undefined, vote: undefined, signal });
  }

  async #optimize(repository: Repository): Promise<void> {
    const plan = this.#random() < 0.5 ? planAsNeeded : planEverything;
    await this.#housekeeping.optimize(repository, {
      plan: (state, nowMs) => plan(state, nowMs + MONTH_MS),
      signal,
    });
  }

  /** Returns the pool, which is made of a random member if there is none. */
  async #pool(): Promise<Repository> {
    const { storages } = this.fixture;
    const { path } = storages.locate(POOL);
    const { storageName, relativePath } = this.#pick(this.members);
    if (!existsSync(path)) await createPool(storages, POOL, { storageName, relativePath }, { signal });
    return storages.open(POOL);
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#random() * items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  #git(path: string, args: readonly string[], input?: string): string {
    return this.fixture.runGit(path, args, input);
  }
}

const SEED = testSeed();
for (let seed = SEED; seed < SEED + repetitions('POOL_RUNS', { short: 1, long: 30 }); seed++) {
  const objectFormat = seed % 2 === 0 ? 'sha1' : 'sha256';
  test(`nothing that happens to a pool loses an object that a member needs (seed ${seed})`, async () => {
    const fixture = await StorageFixture.create();
    await using world = new World(fixture, seededRandom(seed), objectFormat);
    for (let step = 0; step < STEPS; step++) {
      try {
        await world.step();
        world.check();
      } catch (error) {
        throw new Error(`after:\n${world.history}`, { cause: error });
      }
    }
  });
}

// Repositories behind the next one lost what only they needed, with its maintenance; members of a
// pool that borrows itself lost what was in the other.
test('deleting a pool in a chain loses no object of the repositories behind it', async () => {
  const pools = ['1', '2', '3'].map((digit) => `@pools/aa/bb/aabb${digit.repeat(60)}.git`);
  for (const deleted of [0, 1, 2]) {
    await using fixture = await StorageFixture.create();
    const { storages } = fixture;
    const chain = [...pools, 'member.git', 'behind.git'].map((name) => fixture.init(name));
    for (const [index, repository] of chain.entries()) {
      const lender = chain[index - 1];
      if (lender !== undefined)
        await linkMember(lender, repository, { borrowers: storages.borrowers, signal });
    }
    const last = chain.at(-1);
    const pool = chain[deleted];
    assert.ok(last && pool);
    // These pools have a commit that only the last repository leads to.
    for (const [index, { path }] of chain.slice(0, deleted + 1).entries()) {
      const tree = fixture.runGit(path, ['mktree'], '');
      const oid = fixture.runGit(path, ['commit-tree', '-m', `needed ${index}`, tree]);
      fixture.runGit(last.path, ['update-ref', `refs/heads/b${index}`, oid]);
    }

    await deletePool(storages, pool, { maintenance: new MaintenanceRuns(), signal });
    for (const { path } of chain.slice(deleted + 1)) fixture.runGit(path, ['gc', '-q', '--prune=now']);

    fixture.runGit(last.path, ['rev-list', '--objects', '--all', '--quiet']);
    fixture.runGit(last.path, ['fsck', '--full']);
  }
});

test('only the first deletion of a pool walks the storages', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const pool = fixture.init(POOL.relativePath);
  const members = MEMBERS.map((name) => fixture.init(name));
  const found = async (walked = storages.all) =>
    (await storages.borrowers.find(walked, signal)).map(({ location }) => location.relativePath).sort();
  const [first, second, third] = members;
  assert.ok(first && second && third);

  await linkMember(pool, first, { borrowers: storages.borrowers, signal });
  assert.deepEqual(await found(), ['a.git']);
  await linkMember(pool, second, { borrowers: storages.borrowers, signal });
  // Without storages to walk.
  assert.deepEqual(await found([]), ['a.git', 'b.git']);
  await renameRepository(storages, second, storages.locate({ ...POOL, relativePath: 'moved/b.git' }));
  assert.deepEqual(await found([]), ['a.git', 'moved/b.git']);
  await disconnectMember(first, { maintenance: new MaintenanceRuns(), signal });
  assert.deepEqual(await found([]), ['moved/b.git']);
});

test('objects that the origin drops stay in the pool, under a reference', async () => {
  await using fixture = await StorageFixture.create();
  const origin = fixture.init('origin.git', { commits: 2 });
  const { storages } = fixture;
  await createPool(storages, POOL, origin.target, { signal });
  const pool = storages.open(POOL);
  const housekeeping = new Housekeeping(new MaintenanceRuns());
  const fetch = () =>
    fetchIntoPool(pool, origin, { housekeeping, hooks: undefined, vote: undefined, signal });
  const tip = fixture.runGit(origin.path, ['rev-parse', 'main']);
  fixture.runGit(origin.path, ['update-ref', 'refs/heads/extra', fixture.commit(origin.path, 3)]);
  const extra = fixture.runGit(origin.path, ['rev-parse', 'extra']);
  await fetch();

  // A directory takes the place of the branch.
  for (const args of [
    ['-d', 'refs/heads/extra'],
    ['refs/heads/main', tip],
    ['refs/heads/extra/x', tip],
  ])
    fixture.runGit(origin.path, ['update-ref', ...args]);
  await fetch();
  await fetch();

  const references = fixture.runGit(pool.path, ['for-each-ref', '--format=%(refname) %(objectname)']);
  assert.match(references, new RegExp(`^refs/dangling/${extra} ${extra}$`, 'm'));
  assert.match(references, new RegExp(`^refs/remotes/origin/heads/extra/x ${tip}$`, 'm'));
});
