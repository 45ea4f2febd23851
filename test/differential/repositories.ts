import { createHash } from 'node:crypto';
import { packets } from '#testkit/repositories/push';
import { linesOf, splitAt } from './ask-git.ts';
import { type CommitAnswer, gitCommitNamed, ourCommit } from './commit-answers.ts';
import { CALL, type Comparer, text } from './comparison.ts';

const HEADS = 'refs/heads/';
const TAGS = 'refs/tags/';
/** Lines of `show-ref` that count in a checksum; not anchored, as in Gitaly (git/checksum.go). */
const IN_CHECKSUM = /HEAD|refs\/(?:heads|tags|keep-around|merge-requests|environments|notes)\//;
const NO_REFERENCES = '0'.repeat(40);

const joined = async (messages: AsyncIterable<{ readonly data: Uint8Array }>): Promise<string> =>
  text(Buffer.concat((await Array.fromAsync(messages)).map(({ data }) => data)));

const names: Comparer = ({ repository, git, kind }, { ref }) => {
  const namesOf = async (messages: AsyncIterable<{ readonly names: Uint8Array[] }>): Promise<string[]> =>
    (await Array.fromAsync(messages)).flatMap((message) => message.names).map(text);
  const gits = async (prefix: string): Promise<string[]> =>
    linesOf(await git.output(['for-each-ref', '--format=%(refname)', prefix]));
  return [
    {
      question: 'FindAllBranchNames',
      ours: () => namesOf(ref.findAllBranchNames({ repository }, CALL)),
      git: () => gits(HEADS),
      mayFail: kind === 'damaged',
    },
    {
      question: 'FindAllTagNames',
      ours: () => namesOf(ref.findAllTagNames({ repository }, CALL)),
      git: () => gits(TAGS),
      mayFail: kind === 'damaged',
    },
  ];
};

const listCommitsByRefName: Comparer = ({ repository, git, refs, some }, { commit }) =>
  some(refs, 8).map((name) => ({
    question: `ListCommitsByRefName ${text(name)}`,
    ours: async () => {
      const messages = await Array.fromAsync(
        commit.listCommitsByRefName({ repository, refNames: [name] }, CALL),
      );
      return messages.flatMap(({ commitRefs }) => commitRefs).map((found) => ourCommit(found.commit));
    },
    git: async (): Promise<(CommitAnswer | undefined)[]> => [
      await gitCommitNamed(
        git,
        await git.word([
          'rev-parse',
          '--verify',
          '--end-of-options',
          Buffer.concat([name, Buffer.from('^{commit}')]),
        ]),
      ),
    ],
    withoutGit: [[]],
  }));

const facts: Comparer = ({ repository, git, hexLength }, { repository: repositories }) => [
  {
    question: 'HasLocalBranches',
    ours: async () => (await repositories.hasLocalBranches({ repository }, CALL)).value,
    git: async () => (await git.output(['for-each-ref', '--count=1', HEADS])).length > 0,
    mayFail: true,
  },
  {
    question: 'RepositoryExists',
    ours: async () => (await repositories.repositoryExists({ repository }, CALL)).exists,
    git: () => git.succeeds(['rev-parse', '--git-dir']),
  },
  {
    question: 'ObjectFormat',
    ours: async () => (await repositories.objectFormat({ repository }, CALL)).format,
    git: async () => (hexLength === 40 ? 1 : 2),
  },
  {
    question: 'CalculateChecksum',
    ours: async () => (await repositories.calculateChecksum({ repository }, CALL)).checksum,
    git: async () => checksumOf(linesOf(await git.output(['show-ref', '--head']))),
    withoutGit: [NO_REFERENCES],
    mayFail: true,
  },
];

/** The exclusive or of the lines' hashes, without zero bytes at the start. */
function checksumOf(lines: readonly string[]): string {
  const sum = Buffer.alloc(20);
  for (const line of lines.filter((each) => IN_CHECKSUM.test(each))) {
    const hash = createHash('sha1').update(Buffer.from(line, 'latin1')).digest();
    for (const [index, byte] of hash.entries()) sum[index] = (sum[index] ?? 0) ^ byte;
  }
  return sum.toString('hex').replace(/^(?:00)+/, '');
}

const findMergeBase: Comparer = ({ repository, git, commits, some }, { repository: repositories }) =>
  Array.from({ length: 6 }, () => some(commits, 2)).map((pair) => ({
    question: `FindMergeBase ${pair}`,
    ours: async () =>
      (await repositories.findMergeBase({ repository, revisions: pair.map((oid) => Buffer.from(oid)) }, CALL))
        .base,
    git: () => git.word(['merge-base', ...pair]),
    withoutGit: [''],
  }));

const objectsSize: Comparer = ({ repository, git, commits, some }, { repository: repositories }) =>
  some(commits, 4).map((oid) => ({
    question: `ObjectsSize ${oid}`,
    ours: async () =>
      Number((await repositories.objectsSize([{ repository, revisions: [Buffer.from(oid)] }], CALL)).size),
    git: async () => Number(await git.word(['rev-list', '--objects', '--disk-usage', oid])),
  }));

const rawRangeDiff: Comparer = ({ repository, git, commits, some }, { diff }) =>
  Array.from({ length: 4 }, () => some(commits, 2)).map(([rev1 = '', rev2 = '']) => ({
    question: `RawRangeDiff ${rev1}...${rev2}`,
    ours: () =>
      joined(
        diff.rawRangeDiff({ repository, rangeSpec: { case: 'revisionRange', value: { rev1, rev2 } } }, CALL),
      ),
    git: async () =>
      text(await git.output(['-c', 'core.abbrev=no', 'range-diff', '--abbrev=64', `${rev1}...${rev2}`])),
  }));

const searchFilesByName: Comparer = ({ repository, git, commits, some }, { repository: repositories }) =>
  some(commits, 3).map((oid) => ({
    question: `SearchFilesByName ${oid}`,
    ours: async () => {
      const messages = await Array.fromAsync(
        repositories.searchFilesByName({ repository, query: '.', ref: Buffer.from(oid) }, CALL),
      );
      return messages.flatMap(({ files }) => files).map(text);
    },
    git: async () =>
      splitAt(
        await git.outputUntilItFails(['ls-tree', '-r', '-z', '--full-tree', '--name-only', oid]),
        0,
      ).map(text),
  }));

const infoRefs: Comparer = ({ repository, git }, { smartHttp }) => [
  {
    question: 'InfoRefsUploadPack',
    ours: async () => idsAndNames(await joined(smartHttp.infoRefsUploadPack({ repository }, CALL))),
    git: async () =>
      idsAndNames(text(await git.output(['upload-pack', '--http-backend-info-refs', git.directory]))),
  },
];

/**
 * Ids and names of an advertisement: capabilities name the version of git and a session, and
 * this server hides internal references.
 */
const idsAndNames = (advertisement: string): string[] =>
  packets(Buffer.from(advertisement, 'latin1'))
    .map((data) => text(data).replace(/\0.*/s, '').trimEnd())
    .filter((line) => / (?:HEAD|refs\/(?:heads|tags)\/.*)$/.test(line));

export const repositoryComparers: readonly Comparer[] = [
  names,
  listCommitsByRefName,
  facts,
  findMergeBase,
  objectsSize,
  rawRangeDiff,
  searchFilesByName,
  infoRefs,
];
