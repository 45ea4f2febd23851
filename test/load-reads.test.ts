import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '#client/index';
import { openDescriptors, processesIn, residentBytes } from '#testkit/measure/process-usage';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { type Random, randomHistory, seededRandom } from '#testkit/repositories/random-history';
import { runGit } from '#testkit/repositories/run-git';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { repetitions } from '#testkit/soak';

const SECONDS = repetitions('LOAD_SECONDS', { short: 9, long: 60 });
/** The caches are full by then, and the heap has nearly its size. */
const WARM_SECONDS = Math.min(6, SECONDS / 2);
const CLIENTS = 64;
const COMMITS = 300;
const BRANCHES = 20;
/** Number of ids in `ListCommitsByOid` and `GetBlobs`. */
const OIDS = 20;
const BLOBS = 50;
/** An idle cat-file process lives ten seconds. */
const GONE_AFTER_MS = 15_000;
const DESCRIPTORS_LEFT = 3;
/** Allowed growth of a warm server: the collector comes late while 64 clients call. */
const GROWTH_BYTES = 96 * 1024 ** 2;
const repository = { storageName: 'default', relativePath: 'loaded.git' };

test('64 clients that read while git rewrites and repacks receive correct responses', async (context) => {
  await using gitaly = await startGitalyProcess();
  const directory = join(gitaly.directory, 'default', repository.relativePath);
  const facts = makeRepository(directory);
  const branches = new MovingBranches(directory, facts.commits);
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => gitaly.connect()));
  await Promise.all(
    clients.map((client) => client.commit.findCommit({ repository, revision: Buffer.from('main') })),
  );
  const descriptors = openDescriptors(gitaly.pid);

  const stop = new AbortController();
  const calls = new Map<string, number>();
  const until = performance.now() + SECONDS * 1000;
  const rewriting = rewrite(directory, branches, stop.signal);
  const reading = clients.map((client, number) =>
    read(client, { facts, branches, calls, until, random: seededRandom(number) }),
  );
  let warm = 0;
  const warmUp = setTimeout(() => {
    warm = residentBytes(gitaly.pid);
  }, WARM_SECONDS * 1000);
  let [rounds, moves] = [0, 0];
  try {
    await Promise.all(reading);
  } finally {
    clearTimeout(warmUp);
    stop.abort();
    [rounds, moves] = await rewriting;
  }

  const grown = residentBytes(gitaly.pid) - warm;
  const limit = performance.now() + GONE_AFTER_MS;
  while (processesIn(join(gitaly.directory, 'default')).length > 0 && performance.now() < limit)
    await sleep(200); // looks are expensive: they read all of /proc
  context.diagnostic(
    `${[...calls].map(([name, count]) => `${name} ${count}`).join(', ')}; ${moves} moves of branches, ` +
      `${rounds} repacks`,
  );
  context.diagnostic(
    `${Math.round(grown / 1024 ** 2)} MiB more than when warm, ` +
      `${openDescriptors(gitaly.pid) - descriptors} more descriptors than at the start`,
  );
  assert.deepEqual(processesIn(join(gitaly.directory, 'default')), []);
  assert.ok(
    openDescriptors(gitaly.pid) <= descriptors + DESCRIPTORS_LEFT,
    `${openDescriptors(gitaly.pid)} descriptors, ${descriptors} at the start`,
  );
  assert.ok(grown < GROWTH_BYTES, `${Math.round(grown / 1024 ** 2)} MiB`);
  assert.ok(rounds > 0 && moves > 0, 'nothing was rewritten');
});

interface Entry {
  readonly path: string;
  readonly mode: number;
  readonly oid: string;
}

/** Immutable facts: commits that some reference keeps, and their contents. */
interface Facts {
  readonly commits: readonly string[];
  /** All entries of all levels by commit. */
  readonly trees: ReadonlyMap<string, readonly Entry[]>;
  /** Contents by id. */
  readonly blobs: ReadonlyMap<string, string>;
}

function makeRepository(directory: string): Facts {
  initRepository(directory);
  gitOutput(directory, ['fast-import', '--quiet', '--done'], randomHistory(seededRandom(4), COMMITS));
  const commits = gitOutput(directory, ['rev-list', '--all']).split('\n');
  const trees = new Map(
    commits.map((commit) => [commit, entriesOf(gitOutput(directory, ['ls-tree', '-r', '-t', commit]))]),
  );
  const oids = new Set(
    [...trees.values()]
      .flat()
      .filter(isBlob)
      .map(({ oid }) => oid),
  );
  const blobs = new Map([...oids].map((oid) => [oid, gitOutput(directory, ['cat-file', 'blob', oid])]));
  return { commits, trees, blobs };
}

function entriesOf(listing: string): Entry[] {
  return listing
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [, mode = '', oid = '', path = ''] = /^(\d+) \w+ ([0-9a-f]+)\t(.*)$/.exec(line) ?? [];
      return { mode: Number.parseInt(mode, 8), oid, path };
    });
}

const isBlob = ({ mode }: Entry): boolean => (mode & 0o100000) !== 0;

/** Branches that move from commit to commit, and their possible values at any time. */
class MovingBranches {
  readonly #directory: string;
  readonly #commits: readonly string[];
  readonly #values = new Map<string, { readonly oid: string; until: number }[]>();

  constructor(directory: string, commits: readonly string[]) {
    this.#directory = directory;
    this.#commits = commits;
  }

  /** Moves some branches in one transaction. Returns their number. */
  async move(random: Random): Promise<number> {
    const names = new Set(
      Array.from({ length: 5 }, () => `refs/heads/moving-${Math.floor(random() * BRANCHES)}`),
    );
    const moves = [...names].map((name) => ({ name, oid: pick(this.#commits, random) }));
    for (const { name, oid } of moves)
      this.#values.set(name, [...(this.#values.get(name) ?? []), { oid, until: Number.POSITIVE_INFINITY }]);
    await runGit(['update-ref', '--stdin'], {
      cwd: this.#directory,
      input: moves.map(({ name, oid }) => `update ${name} ${oid}\n`).join(''),
    });
    const now = performance.now();
    for (const { name } of moves) {
      const values = this.#values.get(name) ?? [];
      for (const value of values.slice(0, -1)) value.until = Math.min(value.until, now);
      this.#values.set(
        name,
        values.filter(({ until }) => until > now - 60_000),
      );
    }
    return moves.length;
  }

  /** Returns one of the created branches. */
  any(random: Random): string | undefined {
    const names = [...this.#values]
      .filter(([, values]) => values.some(({ until }) => until < Number.POSITIVE_INFINITY))
      .map(([name]) => name);
    return names.length === 0 ? undefined : pick(names, random);
  }

  /** Returns the possible values of a branch since a time. */
  since(name: string, time: number): string[] {
    return (this.#values.get(name) ?? []).filter(({ until }) => until >= time).map(({ oid }) => oid);
  }
}

/**
 * Runs plain git on the repository until it is stopped. Returns the number of repacks and of moved
 * branches.
 */
async function rewrite(
  directory: string,
  branches: MovingBranches,
  stop: AbortSignal,
): Promise<[number, number]> {
  const random = seededRandom(99);
  let [rounds, moves] = [0, 0];
  while (!stop.aborted) {
    for (let times = 0; times < 5; times++) moves += await branches.move(random);
    await runGit(['pack-refs', '--all'], { cwd: directory });
    const tree = await runGit(['rev-parse', 'main^{tree}'], { cwd: directory });
    const fresh = await runGit(['commit-tree', '-p', 'main', '-m', `round ${rounds}`, tree], {
      cwd: directory,
    });
    await runGit(['update-ref', `refs/keep/${rounds}`, fresh], { cwd: directory });
    moves += await branches.move(random);
    await runGit(['repack', '-adq', ...(rounds % 2 === 0 ? ['--write-bitmap-index'] : [])], {
      cwd: directory,
    });
    if (rounds % 3 === 0) await runGit(['commit-graph', 'write', '--reachable'], { cwd: directory });
    rounds++;
  }
  return [rounds, moves];
}

interface Reading {
  readonly facts: Facts;
  readonly branches: MovingBranches;
  /** Number of calls by name. */
  readonly calls: Map<string, number>;
  readonly until: number;
  readonly random: Random;
}

type Call = (client: Connection, reading: Reading) => Promise<void>;

async function read(client: Connection, reading: Reading): Promise<void> {
  while (performance.now() < reading.until) {
    const [name, call] = pickCall(reading.random);
    await call(client, reading);
    reading.calls.set(name, (reading.calls.get(name) ?? 0) + 1);
  }
}

async function findCommit({ commit }: Connection, { facts, branches, random }: Reading): Promise<void> {
  const branch = random() < 0.5 ? branches.any(random) : undefined;
  const startedAt = performance.now();
  const revision = branch ?? pick(facts.commits, random);
  const answer = await commit.findCommit({ repository, revision: Buffer.from(revision) });
  const allowed = branch === undefined ? [revision] : branches.since(branch, startedAt);
  assert.ok(allowed.includes(answer.commit?.id ?? ''), `${revision} is ${answer.commit?.id}, not ${allowed}`);
  assert.equal(Buffer.from(answer.commit?.subject ?? '').toString(), 'm');
}

async function listCommitsByOid({ commit }: Connection, { facts, random }: Reading): Promise<void> {
  const oid = Array.from({ length: OIDS }, () => pick(facts.commits, random));
  const messages = await Array.fromAsync(commit.listCommitsByOid({ repository, oid }));
  assert.deepEqual(
    messages.flatMap(({ commits }) => commits).map(({ id }) => id),
    oid,
  );
}

async function getBlobs({ blob }: Connection, { facts, random }: Reading): Promise<void> {
  const asked = Array.from({ length: BLOBS }, () => {
    const revision = pick(facts.commits, random);
    const entries = (facts.trees.get(revision) ?? []).filter(isBlob);
    return { revision, entry: entries.length === 0 ? undefined : pick(entries, random) };
  });
  const revisionPaths = asked.map(({ revision, entry }) => ({
    revision,
    path: Buffer.from(entry?.path ?? 'nothing'),
  }));
  const answers = await Array.fromAsync(blob.getBlobs({ repository, revisionPaths, limit: -1n }));
  assert.deepEqual(
    answers.map(({ oid, data }) => `${oid} ${Buffer.from(data)}`),
    asked.map(({ entry }) => `${entry?.oid ?? ''} ${facts.blobs.get(entry?.oid ?? '') ?? ''}`),
  );
}

async function getTreeEntries({ commit }: Connection, { facts, random }: Reading): Promise<void> {
  const revision = pick(facts.commits, random);
  const request = { repository, revision: Buffer.from(revision), path: Buffer.from('.'), recursive: true };
  const messages = await Array.fromAsync(commit.getTreeEntries(request));
  const entries = messages.flatMap((message) => message.entries);
  assert.deepEqual(
    entries.map(({ path, mode, oid }) => ({ mode, oid, path: Buffer.from(path).toString() })),
    facts.trees.get(revision),
  );
}

async function treeEntry({ commit }: Connection, { facts, random }: Reading): Promise<void> {
  const revision = pick(facts.commits, random);
  const [entry] = (facts.trees.get(revision) ?? []).filter(isBlob).toSorted(() => random() - 0.5);
  if (entry === undefined) return;
  const messages = await Array.fromAsync(
    commit.treeEntry({ repository, revision: Buffer.from(revision), path: Buffer.from(entry.path) }),
  );
  assert.equal(messages[0]?.oid, entry.oid);
  assert.equal(Buffer.concat(messages.map(({ data }) => data)).toString(), facts.blobs.get(entry.oid));
}

async function listAllCommits({ commit }: Connection, { facts }: Reading): Promise<void> {
  const messages = await Array.fromAsync(commit.listAllCommits({ repository }));
  const ids = new Set(messages.flatMap(({ commits }) => commits).map(({ id }) => id));
  assert.deepEqual(
    facts.commits.filter((oid) => !ids.has(oid)),
    [],
  );
}

/** Share of each call in the load of a Gitaly server. */
const MIX: readonly (readonly [parts: number, name: string, call: Call])[] = [
  [90, 'FindCommit', findCommit],
  [90, 'ListCommitsByOid', listCommitsByOid],
  [90, 'GetBlobs', getBlobs],
  [90, 'GetTreeEntries', getTreeEntries],
  [40, 'TreeEntry', treeEntry],
  [1, 'ListAllCommits', listAllCommits],
];
const PARTS = MIX.reduce((sum, [parts]) => sum + parts, 0);

function pickCall(random: Random): [string, Call] {
  let at = random() * PARTS;
  for (const [parts, name, call] of MIX) {
    at -= parts;
    if (at < 0) return [name, call];
  }
  return ['FindCommit', findCommit];
}

function pick<T>(items: readonly T[], random: Random): T {
  // The list is never empty.
  return items[Math.floor(random() * items.length)] as T;
}
