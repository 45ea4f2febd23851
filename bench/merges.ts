import { join } from 'node:path';
import { type Connection, dial } from '#client/index';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';

const COMMITS = 20;
const LINES = 40;

/** Measures a merge and a rebase, compared with git's own commands. */
export const bench: Bench = {
  name: 'merges',
  question:
    'UserMergeBranch and UserRebaseToRef in a repository of 5000 files, against git merge-tree and git ' +
    'rebase',
  async *run(workshop) {
    const served = await workshop.repository('5k-files', 'served.git');
    const plain = await workshop.repository('5k-files', 'plain.git');
    for (const { path } of [served, plain]) await git(path, ['fast-import', '--quiet'], { input: history() });
    await using connection = await dial(`unix:${(await workshop.server()).socket}`);
    const rounds = workshop.quick ? 10 : 50;

    for (const [what, topic] of [
      ['different files', 'apart'],
      ['one file', 'same'],
    ] as const) {
      const base = await git(served.path, ['rev-parse', 'start']);
      const reset = async ({ path }: StoredRepository) =>
        await git(path, ['update-ref', 'refs/heads/main', base.trim()]);
      const theirs = (await git(served.path, ['rev-parse', topic])).trim();
      const samples = await takeTurns(rounds, {
        rpc: async () => {
          await reset(served);
          return await timed(() => merge(connection, served, theirs));
        },
        plain: async () => {
          await reset(plain);
          return await timed(() => script(plain, MERGE, theirs));
        },
      });
      const reference = { name: 'merge-tree, commit-tree, update-ref', value: median(samples.plain) };
      const goal = { of: 'ratio', atMost: 1.2 } as const;
      yield { name: `UserMergeBranch, ${what}`, value: median(samples.rpc), unit: 'ms', reference, goal };
    }

    const worktree = join(workshop.directory, 'worktree');
    await git(plain.path, ['worktree', 'add', '--quiet', '--detach', worktree, 'apart']);
    for (const [what, topic] of [
      ['different files', 'apart'],
      ['one file', 'same'],
    ] as const) {
      const tip = (await git(plain.path, ['rev-parse', topic])).trim();
      const samples = await takeTurns(workshop.quick ? 5 : 20, {
        rpc: () => timed(() => rebase(connection, served, tip)),
        plain: async () => {
          await git(worktree, ['checkout', '--quiet', '--detach', tip]);
          return await timed(() => runProgram('git', ['-C', worktree, 'rebase', '--quiet', 'onto']));
        },
      });
      const reference = { name: 'git rebase in a working tree', value: median(samples.plain) };
      const goal = { of: 'ratio', atMost: 1 } as const;
      yield {
        name: `UserRebaseToRef, ${COMMITS} commits, ${what}`,
        value: median(samples.rpc),
        unit: 'ms',
        reference,
        goal,
      };
    }
  },
};

/**
 * Returns two branches of some commits: one that changes its own files, one that changes other
 * lines of a file that `onto` changes.
 */
function history(): string {
  const person = (date: number): string => `Bench <bench@example.com> ${1_800_000_000 + date} +0000`;
  const commit = (
    branch: string,
    date: number,
    from: string | undefined,
    path: string,
    content: string,
  ): string =>
    [
      `commit refs/heads/${branch}\ncommitter ${person(date)}\ndata 7\nchange\n`,
      ...(from === undefined ? [] : [`from refs/heads/${from}`]),
      `M 100644 inline ${path}\ndata ${content.length}\n${content}\n`,
    ].join('\n');
  const lines = (changed: number, by: string): string =>
    Array.from({ length: LINES }, (_, line) => `line ${line}${line <= changed ? by : ''}\n`).join('');
  const end = (text: string): string => text.replace(`line ${LINES - 1}\n`, 'the end\n');
  let stream = commit('start', 0, 'main^0', 'files/shared', lines(-1, ''));
  for (let index = 0; index < COMMITS; index++) {
    const first = index === 0 ? 'start' : undefined;
    stream += commit('apart', index + 1, first, `files/${index}/new`, `${index}\n`);
    stream += commit('same', index + 1, first, 'files/shared', lines(index, ' changed'));
  }
  stream += commit('onto', 1, 'start', 'files/shared', end(lines(-1, '')));
  return `${stream}reset refs/heads/start\nfrom refs/heads/onto\n\n`;
}

const USER = {
  glId: 'user-1',
  name: Buffer.from('Bench'),
  email: Buffer.from('bench@example.com'),
  glUsername: 'bench',
};

async function merge(connection: Connection, { wire }: StoredRepository, commitId: string): Promise<void> {
  async function* requests() {
    yield {
      repository: wire,
      user: USER,
      branch: Buffer.from('main'),
      commitId,
      message: Buffer.from('merge'),
    };
    yield { apply: true };
  }
  let isMerged = false;
  for await (const { branchUpdate } of connection.operation.userMergeBranch(requests()))
    isMerged = branchUpdate !== undefined;
  if (!isMerged) throw new Error('nothing was merged');
}

async function rebase(connection: Connection, { wire }: StoredRepository, sourceSha: string): Promise<void> {
  const targetRef = Buffer.from('refs/merge-requests/1/merge');
  const request = {
    repository: wire,
    user: USER,
    sourceSha,
    targetRef,
    firstParentRef: Buffer.from('refs/heads/onto'),
  };
  await connection.operation.userRebaseToRef(request);
}

const MERGE = `
  tree=$(git merge-tree --write-tree main "$1")
  commit=$(git commit-tree -p main -p "$1" -m merge "$tree")
  git update-ref refs/heads/main "$commit"
`;

async function script({ path }: StoredRepository, text: string, argument: string): Promise<void> {
  await runProgram('sh', ['-euc', text, 'sh', argument], { env: { GIT_DIR: path } });
}
