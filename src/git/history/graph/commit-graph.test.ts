import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { GitRepository } from '#git/repository';
import { fc } from '#testkit/fast-check';
import { createRandomRepository } from '#testkit/repositories/generated/random-repository';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import type { CommitGraph } from './commit-graph.ts';
import { CommitGraphCache } from './commit-graph-cache.ts';
import { isAncestor, reachesByGraph } from './is-ancestor.ts';
import { CommitGraphDamage, readCommitGraph } from './read-commit-graph.ts';

const root = makeScratchDirectory('commit-graph');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});

const MAX_BYTES = 1024 * 1024;
const lines = (text: string): string[] => text.split('\n').filter(Boolean);
let made = 0;

interface History {
  readonly repository: GitRepository;
  readonly oids: readonly string[];
  readonly ask: (...args: string[]) => string;
  readonly graph: () => Promise<CommitGraph | undefined>;
}

function makeHistory(seed: number, count: number, objectFormat: 'sha1' | 'sha256' = 'sha1'): History {
  const path = join(root, `${made++}.git`);
  const ask = createRandomRepository(path, { seed, count, objectFormat });
  const names = Array.from({ length: count }, (_, index) => `refs/heads/c${index + 1}`);
  const objectDirectory = `${path}/objects`;
  const repository = git.open(path);
  return {
    repository,
    oids: lines(ask('rev-parse', ...names)),
    ask,
    graph: () => readCommitGraph([objectDirectory], MAX_BYTES),
  };
}

/** Returns git's data of all commits, read from the objects themselves. */
function commitsOf({ ask }: History): string[] {
  return lines(ask('-c', 'core.commitGraph=false', 'log', '--all', '--format=%H %T %ct %P')).toSorted();
}

function commitsIn(graph: CommitGraph): string[] {
  const nodes = Array.from({ length: graph.size }, (_, position) => graph.nodeAt(position));
  return nodes
    .map((node) => [node?.oid, node?.treeOid, node?.seconds, node?.parents.join(' ')].join(' '))
    .toSorted();
}

/** Writes a commit of the year 2242, whose date has more than 32 bits. */
function lateCommit(path: string, parent: string): string {
  const tree = gitOutput(path, ['rev-parse', `${parent}^{tree}`]);
  const who = `L <l@x> ${2 * 2 ** 32 + 5} +0000`;
  const lines = [`tree ${tree}`, `parent ${parent}`, `author ${who}`, `committer ${who}`, '', 'late\n'];
  return gitOutput(path, ['hash-object', '-w', '-t', 'commit', '--stdin'], lines.join('\n'));
}

const WAYS: readonly {
  readonly name: string;
  readonly write: (history: History) => void;
  readonly objectFormat?: 'sha256';
}[] = [
  { name: 'one file', write: ({ ask }) => ask('commit-graph', 'write', '--reachable') },
  {
    name: 'one file with filters of paths',
    write: ({ ask }) => ask('commit-graph', 'write', '--reachable', '--changed-paths'),
  },
  {
    name: 'one file of the older form',
    write: ({ ask }) => ask('-c', 'commitGraph.generationVersion=1', 'commit-graph', 'write', '--reachable'),
  },
  { name: 'sha256', write: ({ ask }) => ask('commit-graph', 'write', '--reachable'), objectFormat: 'sha256' },
  {
    name: 'a chain of three files',
    write: ({ repository, oids }) => {
      for (const share of [3, 2, 1]) {
        const input = `${oids.slice(0, Math.ceil(oids.length / share)).join('\n')}\n`;
        gitOutput(repository.path, ['commit-graph', 'write', '--stdin-commits', '--split=no-merge'], input);
      }
    },
  },
];

for (const { name, write, objectFormat } of WAYS) {
  test(`a commit-graph has the commits and the ancestry that git has: ${name}`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 0xffffffff }), async (seed) => {
        const history = makeHistory(seed, 24, objectFormat);
        const { repository, oids, ask } = history;
        const parents = oids.slice(-7).flatMap((oid) => ['-p', oid]);
        ask(
          'update-ref',
          'refs/heads/octopus',
          ask('commit-tree', '-m', 'octopus', ...parents, `${oids[0]}^{tree}`),
        );
        ask('update-ref', 'refs/heads/late', lateCommit(repository.path, oids[0] ?? ''));
        const all = [...oids, ...lines(ask('rev-parse', 'octopus', 'late'))];
        write({ ...history, oids: all });

        const graph = await history.graph();

        assert.ok(graph);
        assert.deepEqual(commitsIn(graph), commitsOf(history));
        assert.equal(graph.positionOf('1'.repeat(40)), undefined);
        const nodes = repository.commits;
        for (const descendant of all) {
          const reached = new Set(lines(ask('rev-list', descendant)));
          for (const ancestor of all)
            assert.equal(await reachesByGraph(nodes, graph, descendant, ancestor), reached.has(ancestor));
        }
      }),
      { numRuns: 3 },
    );
  });
}

test('commits that are newer than the graph are walked up to it', async () => {
  const history = makeHistory(11, 30);
  const { repository, oids, ask } = history;
  gitOutput(
    repository.path,
    ['commit-graph', 'write', '--stdin-commits'],
    `${oids.slice(0, 20).join('\n')}\n`,
  );

  const graph = await history.graph();

  assert.ok(graph !== undefined && graph.size <= 20);
  const nodes = repository.commits;
  for (const descendant of oids) {
    const reached = new Set(lines(ask('rev-list', descendant)));
    for (const ancestor of oids)
      assert.equal(await reachesByGraph(nodes, graph, descendant, ancestor), reached.has(ancestor));
  }
});

test('a chain with a line that is no hash is not used', async () => {
  const history = makeHistory(7, 5);
  history.ask('commit-graph', 'write', '--reachable', '--split');
  const file = `${history.repository.objectDirectory}/info/commit-graphs/commit-graph-chain`;
  assert.ok(await history.graph());

  writeFileSync(file, `${readFileSync(file, 'latin1')}${'\0'.repeat(41)}`);

  await assert.rejects(history.graph(), CommitGraphDamage);
});

test('a chain that lists its files in another order is not used', async () => {
  const history = makeHistory(7, 9);
  for (const count of [3, 9]) {
    const input = `${history.oids.slice(0, count).join('\n')}\n`;
    gitOutput(
      history.repository.path,
      ['commit-graph', 'write', '--stdin-commits', '--split=no-merge'],
      input,
    );
  }
  const file = `${history.repository.objectDirectory}/info/commit-graphs/commit-graph-chain`;
  const [below = '', above = '', ...others] = lines(readFileSync(file, 'latin1'));
  assert.deepEqual(others, []);
  assert.ok(await history.graph());

  writeFileSync(file, `${above}\n${below}\n`);

  await assert.rejects(history.graph(), CommitGraphDamage);
});

// A flipped bit gave wrong parents and dates, with status OK.
test('no changed byte of a file gets into an answer', async () => {
  const history = makeHistory(5, 20);
  const { repository, ask } = history;
  ask('commit-graph', 'write', '--reachable');
  const file = `${repository.objectDirectory}/info/commit-graph`;
  const whole = readFileSync(file);
  const expected = commitsOf(history);
  rmSync(file);
  const damage = fc.oneof(
    fc.nat(whole.length - 1).map((length) => whole.subarray(0, length)),
    fc
      .array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 })
      .map((changes) => {
        const copy = Buffer.from(whole);
        for (const [at, byte] of changes) copy[at] = byte;
        return copy;
      }),
  );

  await fc.assert(
    fc.asyncProperty(damage, async (bytes) => {
      writeFileSync(file, bytes);
      const graph = await history.graph().catch(unlessDamage);
      if (graph !== undefined) assert.deepEqual(commitsIn(graph), expected);
    }),
    { numRuns: 200 },
  );
  writeFileSync(file, whole);
  assert.ok(await history.graph());
  assert.equal(await readCommitGraph([repository.objectDirectory], 1000), undefined, 'larger than allowed');
});

test('a graph is used as soon as it was read, and the next one after it was written', async () => {
  const { repository, oids, ask } = makeHistory(9, 20);
  const graphs = new CommitGraphCache({ checkEveryMs: 0 });
  const eventually = (size: number | undefined) =>
    until(() => graphs.of(repository)?.size === size, `a graph of ${size} commits`);
  assert.equal(graphs.of(repository), undefined);
  const first = lines(ask('rev-list', oids[9] ?? '')).length;

  gitOutput(repository.path, ['commit-graph', 'write', '--stdin-commits'], `${oids[9]}\n`);
  await eventually(first);
  ask('commit-graph', 'write', '--reachable');
  await eventually(oids.length);
  graphs.forget(repository);
  assert.equal(graphs.of(repository), undefined);
  await eventually(oids.length);
  const quarantine = repository.withObjectDirectories({
    objectDirectory: '/nowhere',
    alternateObjectDirectories: [repository.objectDirectory],
  });
  assert.equal(graphs.of(quarantine)?.size, oids.length);
  rmSync(`${repository.objectDirectory}/info/commit-graph`);
  await eventually(undefined);
});

test('commits that are far from each other need no git where there is a graph', async () => {
  const path = join(root, 'long.git');
  initRepository(path);
  const stream = Array.from({ length: 3000 }, (_, index) =>
    ['commit refs/heads/long', `committer C <c@x> ${1_600_000_000 + index} +0000`, 'data 0', ''].join('\n'),
  );
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], `${stream.join('\n')}\n`);
  gitOutput(path, ['commit-graph', 'write', '--reachable']);
  const [tip = '', base = ''] = lines(gitOutput(path, ['rev-parse', 'long', 'long~2999']));
  const started: string[] = [];
  await using own = await GitFixture.start({ observer: ({ subcommand }) => void started.push(subcommand) });
  const repository = own.open(path);
  await until(() => repository.commits.graph !== undefined);

  assert.equal(await isAncestor(repository, { ancestor: base, descendant: tip }), true);
  assert.equal(await isAncestor(repository, { ancestor: tip, descendant: base }), false);
  assert.deepEqual(started, []);
});

function unlessDamage(error: unknown): undefined {
  if (!(error instanceof CommitGraphDamage)) throw error;
}
