import type { Tag } from '#wire/gen/shared_pb';
import { type AskGit, ifFailed, splitAt } from './ask-git.ts';
import { type CommitAnswer, gitCommitNamed, ourCommit } from './commit-answers.ts';
import { CALL, type Comparer, text } from './comparison.ts';

const BODY_LIMIT = 10_240;
const HEADS = 'refs/heads/';
const TAGS = 'refs/tags/';

/** Returns the lines of `for-each-ref`, whose format contains no line feeds. */
async function forEachRef(git: AskGit, args: readonly (string | Buffer)[]): Promise<string[]> {
  return splitAt(await git.output(['for-each-ref', ...args]), 0x0a).map(text);
}

const LIST_OPTIONS = [
  [{}],
  [{ sortBy: { key: 1, direction: 1 } }, '--sort=-creatordate'],
  [{ sortBy: { key: 3 } }, '--sort=committerdate'],
  [{ sortBy: { key: 2, direction: 1 } }, '--sort=-authordate'],
  [{ sortBy: { key: 0, direction: 1 } }, '--sort=-refname'],
] as const;
const PATTERNS = [
  'refs/',
  'refs/heads/',
  'refs/heads/dir',
  'refs/tags/*',
  'refs/*/both',
  'refs/heads/c1?',
  'refs/replace',
  'HEAD',
  'refs/heads/c[1-3]',
];

const listRefs: Comparer = ({ repository, git, some }, { ref }) =>
  LIST_OPTIONS.flatMap(([options, ...args]) =>
    [[], some(PATTERNS, 2), some(PATTERNS, 1)].map((chosen) => {
      const patterns = chosen.length > 0 ? chosen : ['refs/'];
      return {
        question: `ListRefs ${args} ${patterns}`,
        ours: async () => {
          const request = {
            repository,
            patterns: patterns.map((pattern) => Buffer.from(pattern)),
            ...options,
          };
          const messages = await Array.fromAsync(ref.listRefs(request, CALL));
          return messages
            .flatMap(({ references }) => references)
            .map(({ name, target }) => `${text(name)} ${target}`);
        },
        git: () => forEachRef(git, ['--format=%(refname) %(objectname)', ...args, ...patterns]),
      };
    }),
  );

const listRefsPeeled: Comparer = ({ repository, git, kind }, { ref }) => [
  {
    question: 'ListRefs with peeled tags',
    ours: async () => {
      const messages = await Array.fromAsync(
        ref.listRefs({ repository, patterns: [Buffer.from('refs/')], peelTags: true, head: true }, CALL),
      );
      return messages
        .flatMap(({ references }) => references)
        .map(({ name, target, peeledTarget }) => `${text(name)} ${target} ${peeledTarget}`);
    },
    git: async () => {
      const lines = await forEachRef(git, ['--format=%(refname) %(objectname) %(objecttype)']);
      const head = await git.wordIfAny(['rev-parse', '--verify', 'HEAD']);
      const peeled = await Promise.all(
        lines.map(async (line) => {
          const [, name = '', oid = '', type = ''] = /^(.*) (\S+) (\S+)$/.exec(line) ?? [];
          return (
            `${name} ${oid} ` +
            `${type === 'tag' ? await git.word(['rev-parse', '--verify', `${oid}^{}`]) : ''}`
          );
        }),
      );
      return [...(head === undefined ? [] : [`HEAD ${head} `]), ...peeled];
    },
    mayFail: kind === 'damaged',
  },
];

/** Returns `<name> <id of the target>`. */
const branchLine = (name: Uint8Array, commit: { readonly id: string } | undefined): string =>
  `${text(name)} ${commit?.id}`;

const findLocalBranches: Comparer = ({ repository, git, kind }, { ref }) =>
  ['refname', 'committerdate', '-committerdate'].map((key, sortBy) => ({
    question: `FindLocalBranches ${key}`,
    ours: async () => {
      const messages = await Array.fromAsync(ref.findLocalBranches({ repository, sortBy }, CALL));
      return messages
        .flatMap(({ localBranches }) => localBranches)
        .map(({ name, targetCommit }) => branchLine(name, targetCommit));
    },
    git: () => forEachRef(git, ['--format=%(refname) %(objectname)', `--sort=${key}`, HEADS]),
    mayFail: kind === 'damaged',
  }));

const findAllBranches: Comparer = ({ repository, git, kind }, { ref }) =>
  [false, true].map((mergedOnly) => ({
    question: `FindAllBranches ${mergedOnly}`,
    ours: async () => {
      const messages = await Array.fromAsync(ref.findAllBranches({ repository, mergedOnly }, CALL));
      return messages.flatMap(({ branches }) => branches).map(({ name, target }) => branchLine(name, target));
    },
    git: () =>
      forEachRef(git, [
        '--format=%(refname) %(objectname)',
        ...(mergedOnly ? ['--merged=refs/heads/main'] : []),
        HEADS,
        'refs/remotes/',
      ]),
    mayFail: kind === 'damaged',
  }));

const findAllRemoteBranches: Comparer = ({ repository, git, kind }, { ref }) => [
  {
    question: 'FindAllRemoteBranches origin',
    ours: async () => {
      const messages = await Array.fromAsync(
        ref.findAllRemoteBranches({ repository, remoteName: 'origin' }, CALL),
      );
      return messages
        .flatMap(({ branches }) => branches)
        .map(({ name, targetCommit }) => branchLine(name, targetCommit));
    },
    git: () => forEachRef(git, ['--format=%(refname) %(objectname)', 'refs/remotes/origin']),
    mayFail: kind === 'damaged',
  },
];

interface TagAnswer {
  readonly name: string;
  readonly id: string;
  readonly commit: CommitAnswer | undefined;
  readonly message: string;
  readonly size: number;
  readonly tagger: string;
}

function ourTag(tag: Tag | undefined): TagAnswer | undefined {
  if (tag === undefined) return undefined;
  const { name, id, targetCommit, message, messageSize, tagger } = tag;
  const who =
    tagger && `${text(tagger.name)} <${text(tagger.email)}> ${tagger.date?.seconds} ${text(tagger.timezone)}`;
  return {
    name: text(name),
    id,
    commit: ourCommit(targetCommit),
    message: text(message),
    size: Number(messageSize),
    tagger: who ?? '',
  };
}

/** Returns the tag for a reference's full name. */
async function gitTag(git: AskGit, ref: Buffer): Promise<TagAnswer> {
  const id = await git.word(['rev-parse', '--verify', '--end-of-options', ref]);
  const name = text(ref).replace(TAGS, '');
  const commit = await gitCommitNamed(git, id);
  if ((await git.word(['cat-file', '-t', id])) !== 'tag')
    return { name, id, commit, message: '', size: 0, tagger: '' };
  const object = text(await git.output(['cat-file', 'tag', id]));
  const message = object.slice(object.indexOf('\n\n') + 2).replace(/\n+$/, '');
  const [, who = '', when = ''] = /^tagger (.*>) (.*)$/m.exec(object) ?? [];
  const mapped = await git.mailmap
    .word(['check-mailmap', '--stdin'], Buffer.from(`${who}\n`, 'latin1'))
    .catch(ifFailed(who));
  return {
    name,
    id,
    commit,
    message: message.slice(0, BODY_LIMIT),
    size: message.length,
    tagger: `${mapped} ${when}`,
  };
}

const findAllTags: Comparer = ({ repository, git, kind }, { ref }) =>
  [
    [{}],
    [{ sortBy: { key: 1, direction: 1 } }, '--sort=-creatordate'],
    [{ sortBy: { key: 2 } }, '--sort=version:refname'],
  ].map(([options, ...args]) => ({
    question: `FindAllTags ${args}`,
    ours: async () => {
      const messages = await Array.fromAsync(ref.findAllTags({ repository, ...(options as object) }, CALL));
      return messages.flatMap(({ tags }) => tags).map(ourTag);
    },
    git: async () => {
      const names = splitAt(
        await git.output(['for-each-ref', '--format=%(refname)', ...args.map(String), TAGS]),
        0x0a,
      );
      return Promise.all(names.map((name) => gitTag(git, name)));
    },
    mayFail: kind === 'damaged',
  }));

const findTag: Comparer = ({ repository, git, refs, some }, { ref }) =>
  [
    ...some(refs, 8),
    Buffer.from('refs/tags/both'),
    Buffer.from('refs/tags/v1.9'),
    Buffer.from('refs/tags/nope'),
  ].map((name) => ({
    question: `FindTag ${text(name)}`,
    ours: async () => {
      const tagName = Buffer.from(text(name).replace(/^refs\/(tags|heads)\//, ''), 'latin1');
      return ourTag((await ref.findTag({ repository, tagName }, CALL)).tag);
    },
    git: () =>
      gitTag(git, Buffer.from(text(name).replace(/^(refs\/heads\/|(?!refs\/tags))/, TAGS), 'latin1')),
  }));

const findBranch: Comparer = ({ repository, git, refs, some }, { ref }) =>
  [
    ...some(refs, 14),
    ...['dangling', 'sym', 'dir', 'broken', 'bad..name', 'both', 'nope'].map((name) =>
      Buffer.from(HEADS + name),
    ),
  ].map((full) => {
    const name = Buffer.from(text(full).replace(HEADS, ''), 'latin1');
    return {
      question: `FindBranch ${text(name)}`,
      ours: async () => {
        const { branch } = await ref.findBranch({ repository, name }, CALL);
        return branch && { name: text(branch.name), commit: ourCommit(branch.targetCommit) };
      },
      git: async () => {
        const branch = Buffer.concat([Buffer.from(HEADS), name]);
        const [found] = await forEachRef(git, ['--count=1', '--format=%(refname)', branch]);
        if (found === undefined) return undefined;
        // Another reference below that name is an error of the RPC.
        if (found !== text(branch)) await git.output(['rev-parse', '--verify', 'ambiguous']);
        const oid = await git.word([
          'rev-parse',
          '--verify',
          '--end-of-options',
          Buffer.concat([branch, Buffer.from('^{commit}')]),
        ]);
        return { name: text(name), commit: await gitCommitNamed(git, oid) };
      },
    };
  });

const refExists: Comparer = ({ repository, git, refs, some }, { ref }) =>
  [
    ...some(refs, 10),
    ...['dangling', 'sym', 'dir', 'broken', 'bad..name', 'nope', '*'].map((name) =>
      Buffer.from(HEADS + name),
    ),
  ].map((name) => ({
    question: `RefExists ${text(name)}`,
    ours: async () => (await ref.refExists({ repository, ref: name }, CALL)).value,
    git: () => git.succeeds(['show-ref', '--verify', '--quiet', name]),
    mayFail: true,
  }));

const findDefaultBranchName: Comparer = ({ repository, git }, { ref }) =>
  [false, true].map((headOnly) => ({
    question: `FindDefaultBranchName ${headOnly}`,
    ours: async () => text((await ref.findDefaultBranchName({ repository, headOnly }, CALL)).name),
    git: () => git.word(['symbolic-ref', 'HEAD']),
  }));

const findRefsByOid: Comparer = ({ repository, git, commits, tags, some }, { ref }) =>
  [...some(commits, 6), ...some(tags, 4)].map((oid) => ({
    question: `FindRefsByOID ${oid}`,
    ours: async () => (await ref.findRefsByOID({ repository, oid }, CALL)).refs,
    git: async () => {
      // Older gits follow only one tag. All tags of these repositories are references too.
      const lines = await forEachRef(git, [
        '--format=%(objectname) %(objecttype) %(object) %(refname)',
        TAGS,
        HEADS,
      ]);
      const parsed = lines.map((line) => /^(\S+) (\S+) (\S*) (.*)$/.exec(line) ?? []);
      const targets = new Map(parsed.map(([, id = '', , target = '']) => [id, target]));
      const pointsAt = (id: string | undefined): boolean => id === oid || (!!id && pointsAt(targets.get(id)));
      return parsed
        .filter(([, id, type]) => id === oid || (type === 'tag' && pointsAt(id)))
        .map(([, , , , name]) => name);
    },
    // The message cannot hold a name that is not UTF-8.
    mayFail: true,
  }));

const namesContaining: Comparer = ({ repository, git, commits, some }, { ref }) =>
  some(commits, 4).flatMap((commitId) => [
    {
      question: `ListBranchNamesContainingCommit ${commitId}`,
      ours: async () => {
        const messages = await Array.fromAsync(
          ref.listBranchNamesContainingCommit({ repository, commitId }, CALL),
        );
        return messages.flatMap(({ branchNames }) => branchNames).map(text);
      },
      git: async () =>
        (await forEachRef(git, ['--format=%(refname)', `--contains=${commitId}`, HEADS])).map((name) =>
          name.slice(HEADS.length),
        ),
    },
    {
      question: `ListTagNamesContainingCommit ${commitId}`,
      ours: async () => {
        const messages = await Array.fromAsync(
          ref.listTagNamesContainingCommit({ repository, commitId }, CALL),
        );
        return messages.flatMap(({ tagNames }) => tagNames).map(text);
      },
      git: async () =>
        (await forEachRef(git, ['--format=%(refname)', `--contains=${commitId}`, TAGS])).map((name) =>
          name.slice(TAGS.length),
        ),
    },
  ]);

const getTagMessages: Comparer = ({ repository, git, tags, some }, { ref }) =>
  some(tags, 5).map((oid) => ({
    question: `GetTagMessages ${oid}`,
    ours: async () =>
      (await Array.fromAsync(ref.getTagMessages({ repository, tagIds: [oid] }, CALL)))
        .map(({ message }) => text(message))
        .join(''),
    git: async () => {
      const object = text(await git.output(['cat-file', 'tag', oid]));
      return object.slice(object.indexOf('\n\n') + 2);
    },
  }));

export const refComparers: readonly Comparer[] = [
  listRefs,
  listRefsPeeled,
  findLocalBranches,
  findAllBranches,
  findAllRemoteBranches,
  findAllTags,
  findTag,
  findBranch,
  refExists,
  findDefaultBranchName,
  findRefsByOid,
  namesContaining,
  getTagMessages,
];
