import { ifFailed, linesOf } from './ask-git.ts';
import { gitCommit, gitCommitNamed, gitCommits, ourCommit } from './commit-answers.ts';
import { CALL, type Comparer, type Comparison, text } from './comparison.ts';

/** An option of a walk, in the request's and in git's form. */
type Option = readonly [request: object, ...args: string[]];

const LIST_OPTIONS: readonly Option[] = [
  [{}],
  [{ order: 1 }, '--topo-order'],
  [{ order: 2 }, '--date-order'],
  [{ reverse: true }, '--reverse'],
  [{ maxParents: 1 }, '--max-parents=1'],
  [{ firstParent: true }, '--first-parent'],
  [{ skip: 3 }, '--skip=3'],
  [{ author: Buffer.from('Mapped') }, '--author=Mapped'],
  [
    { commitMessagePatterns: [Buffer.from('LINE'), Buffer.from('body')], ignoreCase: true },
    '--grep=LINE',
    '--grep=body',
    '-i',
  ],
  [{ after: { seconds: 1_600_000_300n } }, '--after=@1600000300'],
  [{ before: { seconds: 1_600_001_500n } }, '--before=@1600001500'],
  [{ disableWalk: true }, '--no-walk'],
];

const LOG_OPTIONS: readonly Option[] = [
  [{}],
  [{ order: 1 }, '--topo-order'],
  [{ offset: 4 }, '--skip=4'],
  [{ skipMerges: true }, '--no-merges'],
  [{ firstParent: true }, '--first-parent'],
  [{ author: Buffer.from('New Name') }, '--author=New Name'],
  [{ messageRegex: 'BODY' }, '--grep=BODY', '-i'],
  [{ after: { seconds: 1_600_000_300n } }, '--after=@1600000300'],
  [{ before: { seconds: 1_600_001_500n } }, '--before=@1600001500'],
  [{ all: true }, '--all', '--reverse'],
];

const findCommit: Comparer = ({ repository, git, names, commits, some }, { commit }) =>
  [...names, ...some(commits, 10)].map((revision) => ({
    question: `FindCommit ${revision}`,
    ours: async () =>
      ourCommit((await commit.findCommit({ repository, revision: Buffer.from(revision) }, CALL)).commit),
    git: async () =>
      gitCommit(git, await git.word(['rev-parse', '--verify', '--end-of-options', `${revision}^{commit}`])),
    withoutGit: [undefined],
  }));

const listCommitsByOid: Comparer = ({ repository, git, revisions, kind }, { commit }) => [
  {
    question: 'ListCommitsByOid of all revisions',
    ours: async () =>
      commitsOf(await Array.fromAsync(commit.listCommitsByOid({ repository, oid: [...revisions] }, CALL))),
    git: async () =>
      (await Promise.all(revisions.map((one) => gitCommitNamed(git, one)))).filter(
        (one) => one !== undefined,
      ),
    mayFail: kind === 'damaged',
  },
];

const listCommits: Comparer = ({ repository, git, names, paths, pick }, { commit }) =>
  LIST_OPTIONS.flatMap(([options, ...args]) =>
    [
      { asked: [pick(names), `^${pick(names)}`], path: undefined },
      { asked: [pick(names), pick(names)], path: pick(paths) },
      { asked: ['--all'], path: undefined },
    ].map(({ asked, path }) => ({
      question: `ListCommits ${args} ${asked} ${path}`,
      ours: async () =>
        commitsOf(
          await Array.fromAsync(
            commit.listCommits(
              { repository, revisions: asked, ...options, ...(path && { paths: [path] }) },
              CALL,
            ),
          ),
        ),
      git: async () =>
        gitCommits(git, await git.lines(['rev-list', ...asked, ...args, '--', ...(path ? [path] : [])])),
    })),
  );

const listAllCommits: Comparer = ({ repository, git, kind }, { commit }) => [
  {
    question: 'ListAllCommits',
    ours: async () => byId(commitsOf(await Array.fromAsync(commit.listAllCommits({ repository }, CALL)))),
    git: async () => {
      const objects = await git.lines([
        'cat-file',
        '--batch-all-objects',
        '--batch-check=%(objecttype) %(objectname)',
      ]);
      const oids = objects.filter((line) => line.startsWith('commit ')).map((line) => line.slice(7));
      return byId(
        (await Promise.all(oids.map((oid) => gitCommit(git, oid).catch(ifFailed(undefined))))).filter(
          (one) => one !== undefined,
        ),
      );
    },
    mayFail: kind === 'damaged',
  },
];

const commitIsAncestor: Comparer = ({ repository, git, names, some }, { commit }) =>
  some(names, 12).map((ancestorId, index) => {
    const childId = names[(index * 5) % names.length] ?? 'HEAD';
    return {
      question: `CommitIsAncestor ${ancestorId} ${childId}`,
      ours: async () => (await commit.commitIsAncestor({ repository, ancestorId, childId }, CALL)).value,
      git: () => git.succeeds(['merge-base', '--is-ancestor', ancestorId, childId]),
    };
  });

const countCommits: Comparer = ({ repository, git, names, paths, some, pick }, { commit }) =>
  some(names, 8).flatMap((revision) =>
    [
      count(revision, {}),
      count(revision, { path: pick(paths) }),
      count(revision, { firstParent: true }, '--first-parent'),
      count(revision, { maxCount: 5 }, '--max-count=5'),
      count(revision, { before: { seconds: 1_600_001_000n } }, '--before=@1600001000'),
    ].map(({ options, args, path }) => ({
      question: `CountCommits ${revision} ${args} ${path}`,
      ours: async () =>
        (await commit.countCommits({ repository, revision: Buffer.from(revision), ...options }, CALL)).count,
      git: async () =>
        Number(
          await git
            .word(['rev-list', '--count', ...args, revision, '--', ...(path ? [path] : [])])
            .catch(ifFailed('0')),
        ),
    })),
  );

function count(_: string, options: { path?: Buffer; [key: string]: unknown }, ...args: string[]) {
  return { options, args, path: options.path };
}

const countDivergingCommits: Comparer = ({ repository, git, names, pick }, { commit }) =>
  Array.from({ length: 8 }, () => {
    const [from, to] = [pick(names), pick(names)];
    return {
      question: `CountDivergingCommits ${from} ${to}`,
      ours: async () => {
        const counts = await commit.countDivergingCommits(
          { repository, from: Buffer.from(from), to: Buffer.from(to) },
          CALL,
        );
        return [counts.leftCount, counts.rightCount];
      },
      git: async () =>
        (await git.word(['rev-list', '--count', '--left-right', `${from}...${to}`])).split('\t').map(Number),
    };
  });

const findCommits: Comparer = (about, { commit }) => {
  const { repository, git, names, paths, pick } = about;
  return LOG_OPTIONS.flatMap(([options, ...args]) =>
    [undefined, pick(paths)].map((path): Comparison => {
      const revision = pick(names);
      const asked = {
        repository,
        revision: Buffer.from(revision),
        limit: 20,
        ...options,
        ...(path && { paths: [path] }),
      };
      return {
        question: `FindCommits ${args} ${revision} ${path}`,
        ours: async () => commitsOf(await Array.fromAsync(commit.findCommits(asked, CALL))),
        git: async () =>
          gitCommits(
            git,
            await git.lines([
              'log',
              '--format=%H',
              '--max-count=20',
              ...args,
              revision,
              '--',
              ...(path ? [path] : []),
            ]),
          ),
      };
    }),
  );
};

const findCommitsFollow: Comparer = ({ repository, git, paths, some }, { commit }) =>
  some(paths, 6).map((path) => ({
    question: `FindCommits --follow ${path}`,
    ours: async () => {
      const request = { repository, revision: Buffer.from('main'), limit: 50, follow: true, paths: [path] };
      return commitsOf(await Array.fromAsync(commit.findCommits(request, CALL)));
    },
    git: async () =>
      gitCommits(
        git,
        await git.lines(['log', '--format=%H', '--max-count=50', '--follow', 'main', '--', path]),
      ),
  }));

const findCommitsDetails: Comparer = ({ repository, git }, { commit }) => [
  {
    question: 'FindCommits with statistics, references and trailers',
    ours: async () => {
      const include = {
        includeShortstat: true,
        includeReferencedBy: [Buffer.from('refs/heads'), Buffer.from('refs/tags')],
        trailers: true,
      };
      const found = await Array.fromAsync(
        commit.findCommits({ repository, revision: Buffer.from('main'), limit: 100, ...include }, CALL),
      );
      return found
        .flatMap(({ commits }) => commits)
        .map(({ id, shortStats, referencedBy, trailers }) => ({
          id,
          stats: shortStats
            ? [shortStats.changedFiles, shortStats.additions, shortStats.deletions]
            : undefined,
          referencedBy: referencedBy.map(text),
          trailers: trailers.map(({ key, value }) => `${text(key)}: ${text(value)}`),
        }));
    },
    git: async () => {
      const decorate = ['--decorate=full', '--decorate-refs=refs/heads', '--decorate-refs=refs/tags'];
      const format = '--format=%x01%H%x02%D%x02%(trailers:unfold,separator=%x00)%x02';
      const log = text(
        await git.output(['log', '--max-count=100', format, '--shortstat', ...decorate, 'main']),
      );
      return log
        .split('\x01')
        .slice(1)
        .map((entry) => {
          const [id = '', names = '', trailers = '', shortstat = ''] = entry.split('\x02');
          const number = (what: RegExp): number => Number(what.exec(shortstat)?.[1] ?? 0);
          return {
            id,
            stats:
              shortstat.trim() === ''
                ? undefined
                : [number(/(\d+) file/), number(/(\d+) insertion/), number(/(\d+) deletion/)],
            referencedBy: names
              .split(', ')
              .filter(Boolean)
              .flatMap((name) => name.replace('tag: ', '').split(' -> ')),
            trailers: trailers.split('\0').filter(Boolean),
          };
        });
    },
  },
];

const findAllCommits: Comparer = ({ repository, git, names, some }, { commit }) =>
  some(names, 4).flatMap((revision) =>
    (
      [[{}], [{ order: 1 }, '--topo-order'], [{ skip: 2, maxCount: 5 }, '--skip=2', '--max-count=5']] as const
    ).map(([options, ...args]) => ({
      question: `FindAllCommits ${args} ${revision}`,
      ours: async () =>
        commitsOf(
          await Array.fromAsync(
            commit.findAllCommits({ repository, revision: Buffer.from(revision), ...options }, CALL),
          ),
        ),
      git: async () =>
        gitCommits(
          git,
          linesOf(await git.outputUntilItFails(['log', '--format=%H', ...args, revision, '--'])),
        ),
    })),
  );

const commitsByMessage: Comparer = ({ repository, git, names, some }, { commit }) =>
  some(names, 4).map((revision) => ({
    question: `CommitsByMessage ${revision}`,
    ours: async () =>
      commitsOf(
        await Array.fromAsync(
          commit.commitsByMessage({ repository, revision: Buffer.from(revision), query: 'SUB.*t' }, CALL),
        ),
      ),
    git: async () =>
      gitCommits(
        git,
        linesOf(await git.outputUntilItFails(['log', '--format=%H', '--grep=SUB.*t', '-i', revision, '--'])),
      ),
  }));

const lastCommitForPath: Comparer = ({ repository, git, names, paths, some, pick }, { commit }) =>
  some(paths, 20).map((path) => {
    const revision = pick([...names, 'main', 'main', 'main']);
    return {
      question: `LastCommitForPath ${revision} ${path}`,
      ours: async () =>
        ourCommit(
          (await commit.lastCommitForPath({ repository, revision: Buffer.from(revision), path }, CALL))
            .commit,
        ),
      git: async () => {
        const oid = await git.word([
          'log',
          '--format=%H',
          '--max-count=1',
          revision,
          '--',
          path.equals(Buffer.from('/')) ? '.' : path,
        ]);
        return oid === '' ? undefined : gitCommit(git, oid);
      },
      withoutGit: [undefined],
    };
  });

const commitStats: Comparer = ({ repository, git, names, commits, some }, { commit }) =>
  [...some(commits, 12), ...some(names, 6)].map((revision) => ({
    question: `CommitStats ${revision}`,
    ours: async () => {
      const { oid, additions, deletions, files } = await commit.commitStats(
        { repository, revision: Buffer.from(revision) },
        CALL,
      );
      return { oid, additions, deletions, files };
    },
    git: async () => {
      const oid = await git.word(['rev-parse', '--verify', '--end-of-options', `${revision}^{commit}`]);
      const { parents } = await gitCommit(git, oid);
      const base =
        parents.length > 0 ? `${oid}^` : await git.word(['hash-object', '-t', 'tree', '--stdin'], '');
      const lines = await git.lines(['diff', '--numstat', base, oid]);
      const sum = (column: number): number =>
        lines.reduce((total, line) => total + (Number(line.split('\t')[column]) || 0), 0);
      return { oid, additions: sum(0), deletions: sum(1), files: lines.length };
    },
  }));

const getCommitMessages: Comparer = ({ repository, git, commits, some }, { commit }) =>
  some(commits, 6).map((oid) => ({
    question: `GetCommitMessages ${oid}`,
    ours: async () =>
      (await Array.fromAsync(commit.getCommitMessages({ repository, commitIds: [oid] }, CALL)))
        .map(({ message }) => text(message))
        .join(''),
    git: async () => {
      const object = text(await git.output(['cat-file', 'commit', oid]));
      return object.slice(object.indexOf('\n\n') + 2);
    },
  }));

const checkObjectsExist: Comparer = (
  { repository, git, revisions, commits, trees, blobs, some, kind },
  { commit },
) => {
  const asked = [...revisions, ...some(commits, 5), ...some(trees, 5), ...some(blobs, 5)].filter(
    (revision) => !revision.includes('...'),
  );
  return [
    {
      question: 'CheckObjectsExist',
      ours: async () => {
        const request = [{ repository, revisions: asked.map((revision) => Buffer.from(revision)) }];
        const found = await Array.fromAsync(commit.checkObjectsExist(request, CALL));
        return found
          .flatMap((message) => message.revisions)
          .map(({ name, exists }) => `${text(name)} ${exists}`);
      },
      git: async () => {
        // `cat-file -e` accepts broken objects too.
        const lines = await Promise.all(
          asked.map((revision) => git.word(['cat-file', '--batch-check'], `${revision}\n`)),
        );
        return asked.map(
          (revision, index) => `${revision} ${/^[0-9a-f]+ \w+ \d+$/.test(lines[index] ?? '')}`,
        );
      },
      mayFail: kind === 'damaged',
    },
  ];
};

function commitsOf(
  messages: readonly { readonly commits: readonly Parameters<typeof ourCommit>[0][] }[],
): ReturnType<typeof ourCommit>[] {
  return messages.flatMap(({ commits }) => commits).map(ourCommit);
}

function byId<T extends { readonly id: string } | undefined>(commits: readonly T[]): T[] {
  return commits.toSorted((one, other) => ((one?.id ?? '') < (other?.id ?? '') ? -1 : 1));
}

export const commitComparers: readonly Comparer[] = [
  findCommit,
  listCommitsByOid,
  listCommits,
  listAllCommits,
  commitIsAncestor,
  countCommits,
  countDivergingCommits,
  findCommits,
  findCommitsFollow,
  findCommitsDetails,
  findAllCommits,
  commitsByMessage,
  lastCommitForPath,
  commitStats,
  getCommitMessages,
  checkObjectsExist,
];
