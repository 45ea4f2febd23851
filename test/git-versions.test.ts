import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Connection } from '#client/index';
import { capabilitiesOf, type GitCapability } from '#git/command/capabilities';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { writeOldGit } from '#testkit/repositories/old-git';
import { testedGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

// Features of newer gits are used where they exist, and the responses are the same without them.
// Two servers get the same requests: one with the machine's git, one with the same git that reports
// the oldest supported version.

const repository = { storageName: 'default', relativePath: 'x.git', glRepository: 'project-1' };
const USER = {
  glId: 'user-1',
  glUsername: 'jane',
  name: Buffer.from('Jane'),
  email: Buffer.from('jane@x'),
  timezone: 'UTC',
};
const TIMESTAMP = { seconds: 1_700_000_000n };

interface Question {
  readonly what: string;
  readonly capability: GitCapability;
  ask(connection: Connection): Promise<unknown>;
  /** Matches a command line of git when the capability is used. */
  readonly used?: RegExp;
  /** Matches a command line of either git: the difference is in its standard input. */
  readonly usedByBoth?: RegExp;
}

const QUESTIONS: readonly Question[] = [
  {
    what: 'a file with a line feed in its name',
    capability: 'catFileNul',
    ask: ({ blob }) =>
      Array.fromAsync(
        blob.getBlobs({
          repository,
          limit: -1n,
          // git resolves it; a name alone is read in process.
          revisionPaths: [{ revision: 'main~0', path: Buffer.from('line\nfeed') }],
        }),
      ),
    used: /cat-file --batch-command --buffer -Z$/m,
  },
  {
    what: 'references but some',
    capability: 'forEachRefExclude',
    ask: ({ ref }) => {
      const [patterns, excludePatterns] = [[Buffer.from('refs/')], [Buffer.from('refs/tags/')]];
      return Array.fromAsync(ref.listRefs({ repository, patterns, excludePatterns, sortBy: { key: 1 } }));
    },
    used: /for-each-ref .*--exclude=refs\/tags\/ /,
  },
  {
    what: 'references at a commit, behind tags of tags',
    capability: 'pointsAtNested',
    ask: ({ ref }) =>
      Array.fromAsync(
        ref.listRefs({
          repository,
          patterns: [Buffer.from('refs/')],
          pointingAtOids: [Buffer.from('main')],
          sortBy: { key: 1 },
          peelTags: true,
        }),
      ),
    used: /for-each-ref .*--points-at main --end-of-options refs\/$/m,
  },
  {
    what: 'blobs of some branches, but not of another',
    capability: 'revListStdinPseudo',
    ask: ({ blob }) =>
      Array.fromAsync(
        blob.listBlobs({ repository, revisions: ['--branches=l*', '--not', 'base'], bytesLimit: -1n }),
      ),
    used: /rev-list .*--stdin --$|rev-list .*--stdin$/m,
  },
  {
    what: 'a diff with attributes of HEAD',
    capability: 'attrTree',
    ask: ({ diff }) =>
      Array.fromAsync(diff.commitDiff({ repository, leftCommitId: 'base', rightCommitId: 'left' })),
    used: /attr\.tree=HEAD .*diff /,
  },
  {
    what: 'a diff without changes of white space',
    capability: 'rawHidesIgnored',
    ask: ({ diff }) =>
      Array.fromAsync(
        diff.commitDiff({ repository, leftCommitId: 'base', rightCommitId: 'spaces', whitespaceChanges: 2 }),
      ),
  },
  {
    what: 'all blobs',
    capability: 'catFileFilter',
    ask: async ({ blob }) => {
      const blobs = (await Array.fromAsync(blob.listAllBlobs({ repository, bytesLimit: -1n }))).flatMap(
        (message) => message.blobs,
      );
      return blobs.map(({ oid, size }) => `${oid} ${size}`).sort();
    },
    used: /cat-file .*--filter=object:type=blob/,
  },
  {
    what: 'the patches of changes that are known',
    capability: 'diffPairs',
    ask: async ({ diff }) => {
      const requests = [{ type: { case: 'commitRequest' as const, value: { commitRevision: 'left' } } }];
      const changes = await Array.fromAsync(diff.findChangedPaths({ repository, requests }));
      return await Array.fromAsync(
        diff.diffBlobs({ repository, rawInfo: changes.flatMap(({ paths }) => paths) }),
      );
    },
    used: /diff-pairs /,
  },
  {
    what: 'a commit picked onto a branch that changed the same file',
    capability: 'mergeTreeOfTrees',
    ask: async ({ operation, commit }) => {
      const branchName = Buffer.from('right');
      const pick = {
        repository,
        user: USER,
        branchName,
        commit: { id: oidOfLeft },
        message: Buffer.from('pick'),
        timestamp: TIMESTAMP,
      };
      const { branchUpdate } = await operation.userCherryPick(pick);
      return await commit.findCommit({ repository, revision: Buffer.from(branchUpdate?.commitId ?? '') });
    },
    usedByBoth: /merge-tree --write-tree/,
  },
  {
    what: 'a new default branch',
    capability: 'symrefUpdate',
    ask: async (connection) => {
      await connection.repository.writeRef({
        repository,
        ref: Buffer.from('HEAD'),
        revision: Buffer.from('refs/heads/left'),
      });
      return await connection.ref.findDefaultBranchName({ repository });
    },
  },
];

const scratch = makeScratchDirectory('git-versions');
let oidOfLeft = '';
let young: TestGitaly;
let old: TestGitaly;

before(async () => {
  const made = join(scratch, 'x.git');
  makeRepository(made);
  oidOfLeft = gitOutput(made, ['rev-parse', 'left']);
  [young, old] = await Promise.all([
    startOn(made, 'git', 'young'),
    startOn(made, writeOldGit(scratch), 'old'),
  ]);
});

after(async () => {
  await Promise.all([young?.[Symbol.asyncDispose](), old?.[Symbol.asyncDispose]()]);
  rmSync(scratch, { recursive: true });
});

for (const { what, capability, ask, used, usedByBoth } of QUESTIONS) {
  test(`the response is the same with and without ${capability}: ${what}`, async () => {
    assert.deepEqual(await ask(young.connection), await ask(old.connection));

    const isThere = capabilitiesOf(testedGit())[capability];
    if (used !== undefined)
      assert.deepEqual([used.test(commandsOf('young')), used.test(commandsOf('old'))], [isThere, false]);
    for (const name of ['young', 'old'])
      if (usedByBoth !== undefined) assert.match(commandsOf(name), usedByBoth);
  });
}

function makeRepository(directory: string): void {
  initRepository(directory);
  // Any setting of merges leaves them to git.
  gitOutput(directory, ['config', 'merge.conflictStyle', 'merge']);
  const text = Array.from({ length: 30 }, (_, index) => `line ${index}\n`);
  const file = (name: string, content: string): string =>
    `M 100644 inline ${name}\ndata ${Buffer.byteLength(content)}\n${content}\n`;
  const commit = (branch: string, from: string, files: readonly string[]): string =>
    `commit refs/heads/${branch}\ncommitter C <c@x> 1600000000 +0000\ndata 1\nx\n${from}${files.join('')}`;
  const from = 'from refs/heads/base\n';
  const changed = (line: number): string => file('text', text.with(line, 'changed\n').join(''));
  const base = [
    file('.gitattributes', '*.bin binary\n'),
    file('x.bin', 'text\n'),
    file('"line\\nfeed"', 'odd\n'),
    changed(15),
  ];
  const stream = [
    commit('base', '', base),
    commit('main', from, [file('new', 'new\n')]),
    commit('left', from, [changed(2), file('x.bin', 'other text\n'), file('added', 'added\n')]),
    commit('right', from, [changed(27)]),
    commit('spaces', from, [
      file('text', text.with(15, 'changed\n').with(3, 'line   3\n').join('')),
      file('x.bin', 'te xt\n'),
    ]),
  ];
  gitOutput(directory, ['fast-import', '--quiet', '--date-format=raw'], stream.join(''));
  gitOutput(directory, ['tag', '-a', '-m', 'inner', 'inner', 'main']);
  gitOutput(directory, ['tag', '-a', '-m', 'outer', 'outer', 'inner']);
}

/** Starts a server with a copy of the repository and a git that records its command lines. */
async function startOn(made: string, program: string, name: string): Promise<TestGitaly> {
  const binary = join(scratch, name);
  writeFileSync(binary, `#!/bin/sh\necho "$@" >> ${binary}.log\nexec ${program} "$@"\n`, { mode: 0o755 });
  const gitaly = await startGitaly({ config: { git: { bin_path: binary } } });
  cpSync(made, join(gitaly.storagePath(), 'x.git'), { recursive: true });
  return gitaly;
}

function commandsOf(name: string): string {
  return readFileSync(join(scratch, `${name}.log`), 'utf8');
}
