import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { addManyParents } from '#testkit/repositories/generated/many-parents';
import { createRandomRepository } from '#testkit/repositories/generated/random-repository';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { writeOldGit } from '#testkit/repositories/old-git';
import { seededRandom } from '#testkit/repositories/random-history';
import { runSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { FallBackToGit, InProcess } from '../command/in-process.ts';
import type { GitRepository } from '../repository.ts';
import { isAncestor, reaches, reachesByGraph } from './graph/is-ancestor.ts';
import { lastCommits } from './last-commits.ts';
import { oldCommits } from './old-commits.ts';
import { recentCommits } from './recent-commits.ts';
import { revList } from './rev-list.ts';

const root = makeScratchDirectory('history');
const git = await GitFixture.start();
const gitAlone = await GitFixture.start({ inProcess: new InProcess({ isEnabled: false }) });
after(async () => {
  await git.close();
  await gitAlone.close();
  rmSync(root, { recursive: true });
});

let made = 0;

interface History {
  readonly repository: GitRepository;
  /** In the order of creation. */
  readonly oids: readonly string[];
  readonly ask: (...args: string[]) => string;
}

function makeHistory(seed: number, count: number, objectFormat: 'sha1' | 'sha256' = 'sha1'): History {
  const path = join(root, `${made++}.git`);
  const names = Array.from({ length: count }, (_, index) => `refs/heads/c${index + 1}`);
  const ask = createRandomRepository(path, { seed, count, objectFormat });
  const repository = git.open(path);
  return { repository, oids: ask('rev-parse', ...names).split('\n'), ask };
}

/** Paths including directories, and names that would be patterns. */
const OLD_PATHS = ['d/old-0*', 'd/old-1', 'd/directory/x', 'd/:(top)y'];

const lines = (text: string): string[] => text.split('\n').filter(Boolean);
const seeds = fc.integer({ min: 0, max: 0xffffffff });

test('ancestry computed in process equals that of git, for all pairs of random histories', async () => {
  await fc.assert(
    fc.asyncProperty(seeds, async (seed) => {
      const { repository, oids, ask } = makeHistory(seed, 24);
      const nodes = repository.commits;
      for (const descendant of oids) {
        const reached = new Set(lines(ask('rev-list', descendant)));
        for (const ancestor of oids)
          assert.equal(await reaches(nodes, descendant, ancestor), reached.has(ancestor));
      }
    }),
    { numRuns: 6 },
  );
});

test('the first commits of random histories are those that git begins with', async () => {
  await fc.assert(
    fc.asyncProperty(
      seeds,
      fc.boolean(),
      fc.nat(4),
      fc.nat(30),
      async (seed, firstParent, skip, maxCount) => {
        const { repository, oids, ask } = makeHistory(seed, 40);
        const random = seededRandom(seed);
        const revisions = Array.from(
          { length: 1 + Math.floor(random() * 4) },
          () => `c${1 + Math.floor(random() * oids.length)}`,
        );

        const recent = await recentCommits(repository, { revisions, skip, maxCount, firstParent });

        const options = [
          `--skip=${skip}`,
          `--max-count=${maxCount}`,
          ...(firstParent ? ['--first-parent'] : []),
        ];
        const expected = lines(ask('rev-list', ...options, ...revisions));
        assert.deepEqual(
          recent?.map(({ oid }) => oid),
          expected,
        );
        assert.deepEqual(lines(ask('log', '--format=%H', ...options, ...revisions)), expected);
      },
    ),
    { numRuns: 25 },
  );
});

test('the last commit of every entry is the one that git log finds, in random histories', async () => {
  await fc.assert(
    fc.asyncProperty(seeds, fc.constantFrom('', 'd', 'd/e'), async (seed, directory) => {
      const { repository, oids, ask } = makeHistory(seed, 40);
      const commit = oids.at(-1) ?? '';
      const prefix = directory === '' ? '' : `${directory}/`;
      const listed = lines(ask('ls-tree', '--name-only', commit, prefix === '' ? '.' : prefix));
      const names = listed.map((path) => Buffer.from(path.slice(prefix.length)));

      const query = { commit, directory: Buffer.from(directory), names };
      const found = await lastCommits(repository, query);
      const byProcess = await lastCommits(gitAlone.open(repository.path), query);

      const log = (path: string): string =>
        ask('log', '-1', '--format=%H', commit, '--', `:(literal)${path}`);
      const expected = listed.map((path) => [path.slice(prefix.length), log(path)] as const);
      assert.deepEqual(found, new Map(expected));
      assert.deepEqual(byProcess, found);
    }),
    { numRuns: 15 },
  );
});

test('what was found in one directory is not taken for the entries of another', async () => {
  const path = join(root, 'directories.git');
  initRepository(path);
  const files = ['a/x', 'b/x', 'x'];
  const commits = files.map((file, index) => [
    `commit refs/heads/main\ncommitter C <c@x> ${1_600_000_000 + index} +0000\ndata 0\n`,
    `M 100644 inline ${file}\ndata 1\n${index}\n`,
  ]);
  gitOutput(path, ['fast-import', '--quiet'], commits.flat().join(''));
  const commit = gitOutput(path, ['rev-parse', 'main']);
  const repository = git.open(path);

  for (const file of files) {
    const directory = Buffer.from(dirname(file).replace(/^\.$/, ''));
    const found = await lastCommits(repository, { commit, directory, names: [Buffer.from('x')] });

    assert.equal(found.get('x'), gitOutput(path, ['log', '-1', '--format=%H', 'main', '--', file]), file);
  }
});

test('the last commits of entries that are older than the walk goes are found by git', async () => {
  const { repository } = makeHistory(1, 1);
  const stream: string[] = [];
  for (let index = 0; index < 400; index++) {
    stream.push(`commit refs/heads/long`, `committer C <c@x> ${1_600_000_000 + index} +0000`, 'data 0', '');
    const path = index < 40 ? OLD_PATHS[index % OLD_PATHS.length] : 'd/young';
    stream.push(`M 100644 inline ${path}`, `data ${String(index).length}`, `${index}`);
  }
  gitOutput(repository.path, ['fast-import', '--quiet', '--date-format=raw'], `${stream.join('\n')}\n`);
  const names = [...OLD_PATHS, 'd/young'].map((path) => path.split('/')[1] ?? '');
  const commit = gitOutput(repository.path, ['rev-parse', 'long']);
  const old = await GitFixture.start({ binary: writeOldGit(root) });

  for (const each of [git, old]) {
    const query = { commit, directory: Buffer.from('d'), names: names.map((name) => Buffer.from(name)) };
    const found = await lastCommits(each.open(repository.path), query);

    for (const name of names) {
      assert.equal(
        found.get(name),
        gitOutput(repository.path, ['log', '-1', '--format=%H', commit, '--', `:(literal)d/${name}`]),
      );
    }
  }
  await old.close();
});

test('git finds the old commits of random histories in both ways', async () => {
  const old = await GitFixture.start({ binary: writeOldGit(root) });
  await fc.assert(
    fc.asyncProperty(seeds, fc.constantFrom([], ['d/'], ['d/e/']), async (seed, directory) => {
      const { repository, oids, ask } = makeHistory(seed, 60);
      const [start = ''] = oids.slice(-1);
      const paths = lines(ask('ls-tree', '--name-only', start, ...directory));
      const query = paths.map((path) => ({ start, path: Buffer.from(path) }));

      const expected = paths.map(
        (path) => [path, ask('log', '-1', '--format=%H', start, '--', `:(literal)${path}`)] as const,
      );
      for (const each of [git, old]) {
        const found = await Array.fromAsync(oldCommits(each.open(repository.path), query, {}));
        assert.deepEqual(new Map(found.map(({ path, oid }) => [path.toString(), oid])), new Map(expected));
      }
    }),
    { numRuns: 6 },
  );
  await old.close();
});

test('a git that can finds the old commits of many files in one walk', async () => {
  const { repository } = makeHistory(1, 1);
  const files = Array.from({ length: 40 }, (_, index) => `f${index}`);
  const commits = files.flatMap((path, index) => [
    ...['commit refs/heads/line', `committer C <c@x> ${1_600_000_000 + index} +0000`, 'data 0', ''],
    ...[`M 100644 inline ${path}`, `data ${path.length}`, path],
  ]);
  gitOutput(repository.path, ['fast-import', '--quiet', '--date-format=raw'], `${commits.join('\n')}\n`);
  const [start = '', ...before] = lines(gitOutput(repository.path, ['rev-list', 'line']));
  const started: string[] = [];
  await using watched = await GitFixture.start({
    observer: ({ subcommand }) => void started.push(subcommand),
  });

  const query = files.map((path) => ({ start, path: Buffer.from(path) }));
  const found = await Array.fromAsync(oldCommits(watched.open(repository.path), query, {}));

  const expected = [start, ...before].toReversed().map((oid, index) => [files[index], oid] as const);
  assert.deepEqual(new Map(found.map(({ path, oid }) => [path.toString(), oid])), new Map(expected));
  const walks = watched.git.capabilities.lastModified ? ['last-modified'] : files.map(() => 'log');
  assert.deepEqual(started, walks);
});

test('a sha256 history is walked as git walks it', async () => {
  const { repository, oids, ask } = makeHistory(7, 20, 'sha256');
  const [first = '', last = ''] = [oids[0], oids.at(-1)];

  const recent = await recentCommits(repository, {
    revisions: [last],
    skip: 0,
    maxCount: 20,
    firstParent: false,
  });

  assert.deepEqual(
    recent?.map(({ oid }) => oid).toSorted(),
    lines(ask('rev-list', '--max-count=20', last)).toSorted(),
  );
  assert.equal(await reaches(repository.commits, last, first), lines(ask('rev-list', last)).includes(first));
  const names = lines(ask('ls-tree', '--name-only', last)).map((name) => Buffer.from(name));
  const found = await lastCommits(repository, { commit: last, directory: Buffer.alloc(0), names });
  for (const name of names)
    assert.equal(found.get(name.toString()), ask('log', '-1', '--format=%H', last, '--', name.toString()));
});

type Oids = readonly string[];

for (const [name, file, contents] of [
  ['shallow commits', 'shallow', (oids: Oids) => `${oids[10]}\n`],
  ['grafts', 'info/grafts', (oids: Oids) => `# a remark\n${oids[10]} ${oids[2]}\n`],
  // The commits of a graft that git reads were not found, and one that git ignores was used.
  ['grafts with tabs and CR', 'info/grafts', (oids: Oids) => `${oids.at(-1)}\t${oids[2]} \r\n\r\n`],
  ['grafts with two spaces', 'info/grafts', (oids: Oids) => `${oids.at(-1)}  ${oids[2]}\n`],
  [
    'two grafts of a commit',
    'info/grafts',
    ([a, b, ...oids]: Oids) => `${oids.at(-1)} ${a}\n${oids.at(-1)} ${b}\n`,
  ],
] as const) {
  test(`a history with ${name} is the one that git sees`, async () => {
    const { repository, oids, ask } = makeHistory(3, 20);
    mkdirSync(join(repository.path, 'info'), { recursive: true });
    writeFileSync(join(repository.path, file), contents(oids));
    const last = oids.at(-1) ?? '';
    const reached = new Set(lines(ask('rev-list', last)));

    for (const oid of oids) {
      assert.equal(await isAncestor(repository, { ancestor: oid, descendant: last }), reached.has(oid));
    }

    assert.equal(
      await recentCommits(repository, { revisions: [last], skip: 0, maxCount: 5, firstParent: false }),
      undefined,
    );
    const names = lines(ask('ls-tree', '--name-only', last)).map((name) => Buffer.from(name));
    const found = await lastCommits(repository, { commit: last, directory: Buffer.alloc(0), names });
    for (const name of names)
      assert.equal(found.get(`${name}`), ask('log', '-1', '--format=%H', last, '--', `${name}`));
  });
}

// git fails; a response as without the file was returned.
test('a damaged list of shallow commits is left to git', async () => {
  const { repository, oids, ask } = makeHistory(3, 20);
  const last = oids.at(-1) ?? '';
  const names = lines(ask('ls-tree', '--name-only', last)).map((name) => Buffer.from(name));

  writeFileSync(join(repository.path, 'shallow'), 'damaged\n');

  assert.throws(() => ask('log', '-1', last));
  await assert.rejects(lastCommits(repository, { commit: last, directory: Buffer.alloc(0), names }));
});

test('commits of a quarantine count only for those who see it', async () => {
  const { repository, oids } = makeHistory(5, 10);
  const { path } = repository;
  const quarantine = `${path}/objects/incoming`;
  const [last = ''] = oids.slice(-1);
  mkdirSync(quarantine);
  const tree = gitOutput(path, ['rev-parse', `${last}^{tree}`]);
  const child = gitOutput(path, ['commit-tree', '-m', 'quarantined', '-p', last, tree]);
  mkdirSync(join(quarantine, child.slice(0, 2)));
  renameSync(
    join(path, 'objects', child.slice(0, 2), child.slice(2)),
    join(quarantine, child.slice(0, 2), child.slice(2)),
  );
  const inQuarantine = repository.withObjectDirectories({
    objectDirectory: quarantine,
    alternateObjectDirectories: [`${path}/objects`],
  });

  assert.equal(await isAncestor(inQuarantine, { ancestor: last, descendant: child }), true);
  assert.equal(await isAncestor(repository, { ancestor: last, descendant: child }), false);
});

test('for commits that are far from each other git is asked, after few steps', async () => {
  const { repository } = makeHistory(1, 1);
  const stream = ['commit refs/heads/long', 'mark :1', 'committer C <c@x> 1600000000 +0000', 'data 0', ''];
  for (let mark = 2; mark <= 400; mark++) {
    stream.push(
      'commit refs/heads/long',
      `mark :${mark}`,
      `committer C <c@x> ${1_600_000_000 + mark} +0000`,
      'data 0',
      '',
    );
  }
  gitOutput(repository.path, ['fast-import', '--quiet', '--date-format=raw'], stream.join('\n'));
  const [tip = '', base = ''] = gitOutput(repository.path, ['rev-parse', 'long', 'long~399']).split('\n');

  await assert.rejects(reaches(repository.commits, tip, base), FallBackToGit);
  assert.equal(await isAncestor(repository, { ancestor: base, descendant: tip }), true);
  assert.equal(await isAncestor(repository, { ancestor: tip, descendant: base }), false);
});

test('for commits with a thousand parents each git is asked, after few of them', async () => {
  const { repository, oids } = makeHistory(1, 1);
  const [root = ''] = oids;
  const [near, far] = [1, 20].map((count) => addManyParents(repository.path, root, count)) as [
    string,
    string,
  ];

  assert.equal(await reaches(repository.commits, near, root), true);
  await assert.rejects(reaches(repository.commits, root, far), FallBackToGit);
  assert.equal(await isAncestor(repository, { ancestor: far, descendant: root }), false);

  gitOutput(repository.path, ['update-ref', 'refs/heads/far', far]);
  gitOutput(repository.path, ['commit-graph', 'write', '--reachable']);
  await until(() => repository.commits.graph !== undefined);
  const { graph } = repository.commits;
  assert.ok(graph);
  await assert.rejects(reachesByGraph(repository.commits, graph, far, root), FallBackToGit);
});

// Symptom: the first merge itself, because its parents were read up to 64 KiB.
test('the last change of a path is found through the last of two thousand parents', async () => {
  const { repository, oids } = makeHistory(1, 1);
  const path = repository.path;
  const commit = (content: string, parents: readonly string[]): string => {
    const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], content);
    const tree = gitOutput(path, ['mktree'], `100644 blob ${blob}\ta\n`);
    const person = 'a <a@x> 1700000000 +0000';
    const lines = parents.map((parent) => `parent ${parent}\n`).join('');
    const text = `tree ${tree}\n${lines}author ${person}\ncommitter ${person}\n\n`;
    return gitOutput(path, ['hash-object', '-t', 'commit', '-w', '--stdin'], text);
  };
  const same = commit('new', []);
  const merge = commit('new', [...new Array<string>(2000).fill(commit('old', oids)), same]);

  const found = await lastCommits(repository, {
    commit: merge,
    directory: Buffer.alloc(0),
    names: [Buffer.from('a')],
  });

  assert.equal(found.get('a'), gitOutput(path, ['log', '-1', '--format=%H', merge, '--', 'a']));
  assert.equal(found.get('a'), same);
});

test('names, tags and odd revisions lead to the commits that git finds', async () => {
  const { repository, oids, ask } = makeHistory(9, 12);
  const last = oids.at(-1) ?? '';
  ask('-c', 'user.name=T', '-c', 'user.email=t@x', 'tag', '-a', '-m', 'tag', 'v1.0', oids[3] ?? '');
  const names = [
    'v1.0',
    'refs/tags/v1.0',
    'main',
    'main~0',
    last.slice(0, 10),
    'main^{tree}',
    'no-such',
    'main@{upstream}',
  ];

  for (const ancestor of [...names, '1'.repeat(40), `${last}0`, `${last.slice(0, -1)}x`]) {
    const reference = runSync('git', ['merge-base', '--is-ancestor', ancestor, 'main'], {
      cwd: repository.path,
    });

    const answer = await isAncestor(repository, { ancestor, descendant: 'main' });

    assert.equal(answer, reference.code === 0, ancestor);
  }
});

test('a walk that is left ends its git', async () => {
  const { repository } = makeHistory(2, 30);
  let seen = 0;
  let running = 0;
  const watched = await GitFixture.start({
    observer: () => {
      running++;
      return () => void running--;
    },
  });

  for await (const batch of revList(watched.open(repository.path), { revisions: ['--all'] })) {
    seen += batch.length;
    break;
  }

  assert.ok(seen > 0);
  assert.equal(running, 0);
  await watched.close();
});
