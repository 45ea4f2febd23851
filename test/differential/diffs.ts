import type { AskGit } from './ask-git.ts';
import { gitCommit } from './commit-answers.ts';
import { CALL, type Comparer, text } from './comparison.ts';
import type { Choices, OddRepository } from './unusual-repository.ts';

const STATUSES = ['A', 'M', 'D', 'T', 'C', 'R'];

interface Change {
  readonly status: string;
  readonly from: string;
  readonly to: string;
  readonly oldMode: number;
  readonly newMode: number;
  readonly oldId: string;
  readonly newId: string;
}

/** Parses the output of `--raw -z --abbrev=<whole>`. */
function parseRaw(items: readonly Buffer[]): Change[] {
  const changes: Change[] = [];
  const words = items.map(text);
  for (let at = 0; at < words.length; ) {
    const [oldMode = '', newMode = '', oldId = '', newId = '', letter = ''] =
      words[at++]?.slice(1).split(' ') ?? [];
    const status = letter.charAt(0);
    const from = words[at++] ?? '';
    const to = status === 'R' || status === 'C' ? (words[at++] ?? '') : from;
    changes.push({
      status,
      from,
      to,
      oldMode: Number.parseInt(oldMode, 8),
      newMode: Number.parseInt(newMode, 8),
      oldId,
      newId,
    });
  }
  return changes;
}

/** Splits a type change into a deletion and an addition. */
function splitTypeChanges(changes: readonly Change[], zero: string): Change[] {
  return changes.flatMap((change) =>
    change.status === 'T'
      ? [
          { ...change, newMode: 0, newId: zero },
          { ...change, oldMode: 0, oldId: zero },
        ]
      : [change],
  );
}

/** Returns two sides of a diff, including branches with very different trees. */
function sidesOf(
  { names, commits, pick }: OddRepository & Choices,
  count: number,
): { leftCommitId: string; rightCommitId: string }[] {
  const trees = ['t0', 't1', 't2', 't3', 't4', 'main', 'c4', 'twice', 'c10'];
  return Array.from({ length: count }, (_, index) =>
    index % 3 === 0
      ? { leftCommitId: pick(names.filter((name) => !name.includes('...'))), rightCommitId: pick(commits) }
      : { leftCommitId: pick(trees), rightCommitId: pick(trees) },
  );
}

const commitDiff: Comparer = (about, { diff }) => {
  const { repository, git, hexLength, kind } = about;
  return sidesOf(about, 20).map((sides) => ({
    question: `CommitDiff ${sides.leftCommitId} ${sides.rightCommitId}`,
    ours: async () => {
      const diffs: (Change & { patch: string; binary: boolean; added: number; removed: number })[] = [];
      let patch: Buffer[] = [];
      let head: Omit<(typeof diffs)[number], 'patch'> | undefined;
      for await (const message of diff.commitDiff({ repository, ...sides }, CALL)) {
        const { fromPath, toPath, oldMode, newMode, fromId, toId, binary, linesAdded, linesRemoved } =
          message;
        const paths = { status: '', from: text(fromPath), to: text(toPath) };
        head ??= {
          ...paths,
          oldMode,
          newMode,
          oldId: fromId,
          newId: toId,
          binary,
          added: linesAdded,
          removed: linesRemoved,
        };
        patch.push(Buffer.from(message.rawPatchData));
        if (!message.endOfPatch) continue;
        diffs.push({ ...head, patch: text(Buffer.concat(patch)) });
        [head, patch] = [undefined, []];
      }
      return diffs;
    },
    git: async () => {
      const command = [
        'diff',
        '--find-renames=30%',
        `--abbrev=${hexLength}`,
        '--full-index',
        sides.leftCommitId,
        sides.rightCommitId,
      ];
      const raw = splitTypeChanges(
        parseRaw(await git.items([...command, '--raw', '-z'])),
        '0'.repeat(hexLength),
      );
      const patches = patchesOf(text(await git.output([...command, '--patch'])));
      return raw.map((change, index) => ({ ...change, status: '', ...patches[index] }));
    },
    mayFail: kind === 'damaged',
  }));
};

/** Returns the text after the headers of each file. */
function patchesOf(output: string): { patch: string; binary: boolean; added: number; removed: number }[] {
  const sections = output.split(/^diff --git .*\n/m).slice(1);
  return sections.map((section) => {
    const at = section.search(/^(@@|Binary)/m);
    const patch = at < 0 ? '' : section.slice(at);
    const count = (letter: string): number =>
      patch.split('\n').filter((line) => line.startsWith(letter)).length;
    return { patch, binary: patch.startsWith('Binary'), added: count('+'), removed: count('-') };
  });
}

const commitDelta: Comparer = (about, { diff }) => {
  const { repository, git, hexLength, kind } = about;
  return sidesOf(about, 12).map((sides) => ({
    question: `CommitDelta ${sides.leftCommitId} ${sides.rightCommitId}`,
    ours: async () => {
      const messages = await Array.fromAsync(diff.commitDelta({ repository, ...sides }, CALL));
      return messages
        .flatMap(({ deltas }) => deltas)
        .map(({ fromPath, toPath, fromId, toId, oldMode, newMode }) => {
          return {
            status: '',
            from: text(fromPath),
            to: text(toPath),
            oldMode,
            newMode,
            oldId: fromId,
            newId: toId,
          };
        });
    },
    git: async () => {
      const items = await git.items([
        'diff',
        '--raw',
        '-z',
        `--abbrev=${hexLength}`,
        '--find-renames',
        sides.leftCommitId,
        sides.rightCommitId,
      ]);
      return splitTypeChanges(parseRaw(items), '0'.repeat(hexLength)).map((change) => ({
        ...change,
        status: '',
      }));
    },
    mayFail: kind === 'damaged',
  }));
};

const rawDiff: Comparer = (about, { diff }) => {
  const { repository, git } = about;
  return sidesOf(about, 14).map((sides) => ({
    question: `RawDiff ${sides.leftCommitId} ${sides.rightCommitId}`,
    ours: async () =>
      text(
        Buffer.concat(
          (await Array.fromAsync(diff.rawDiff({ repository, ...sides }, CALL))).map(({ data }) => data),
        ),
      ),
    git: async () =>
      text(await git.output(['diff', '--full-index', sides.leftCommitId, sides.rightCommitId])),
  }));
};

/** Newer gits include commits without changes by default. */
const rawPatch: Comparer = (about, { diff }) => {
  const { repository, git } = about;
  return sidesOf(about, 8).map((sides) => ({
    question: `RawPatch ${sides.leftCommitId} ${sides.rightCommitId}`,
    ours: async () =>
      text(
        Buffer.concat(
          (await Array.fromAsync(diff.rawPatch({ repository, ...sides }, CALL))).map(({ data }) => data),
        ),
      ),
    git: async () =>
      text(
        await git.output([
          'format-patch',
          '--always',
          '--stdout',
          '--signature=GitLab',
          `${sides.leftCommitId}..${sides.rightCommitId}`,
        ]),
      ),
  }));
};

const diffStats: Comparer = (about, { diff }) => {
  const { repository, git } = about;
  return sidesOf(about, 12).map((sides) => ({
    question: `DiffStats ${sides.leftCommitId} ${sides.rightCommitId}`,
    ours: async () => {
      const messages = await Array.fromAsync(diff.diffStats({ repository, ...sides }, CALL));
      return messages
        .flatMap(({ stats }) => stats)
        .map(({ path, oldPath, additions, deletions }) => ({
          path: text(path),
          oldPath: text(oldPath),
          additions,
          deletions,
        }));
    },
    git: async () => {
      const items = (
        await git.items(['diff', '--numstat', '-z', sides.leftCommitId, sides.rightCommitId])
      ).map(text);
      const stats: { path: string; oldPath: string; additions: number; deletions: number }[] = [];
      for (let at = 0; at < items.length; ) {
        const [, added, removed, path] = /^(\S+)\t(\S+)\t(.*)$/s.exec(items[at++] ?? '') ?? [];
        const counts = { additions: Number(added) || 0, deletions: Number(removed) || 0 };
        if (path !== '') stats.push({ path: path ?? '', oldPath: '', ...counts });
        else stats.push({ oldPath: items[at++] ?? '', path: items[at++] ?? '', ...counts });
      }
      return stats;
    },
  }));
};

const findChangedPaths: Comparer = ({ repository, git, commits, trees, hexLength, some, pick }, { diff }) =>
  [
    ...some(commits, 14).map((one) => [one]),
    ...Array.from({ length: 6 }, () => [pick(trees), pick(trees)]),
  ].flatMap((asked) =>
    [false, true].map((allParents) => ({
      question: `FindChangedPaths ${allParents} ${asked}`,
      ours: async () => {
        const [one = '', other] = asked;
        const type =
          other === undefined
            ? { case: 'commitRequest' as const, value: { commitRevision: one } }
            : { case: 'treeRequest' as const, value: { leftTreeRevision: one, rightTreeRevision: other } };
        const request = {
          repository,
          requests: [{ type }],
          mergeCommitDiffMode: allParents ? 2 : 1,
          findRenames: true,
        };
        const messages = await Array.fromAsync(diff.findChangedPaths(request, CALL));
        return messages
          .flatMap(({ paths }) => paths)
          .map(({ path, oldPath, status, oldMode, newMode, oldBlobId, newBlobId }) => {
            const letter = STATUSES[status] ?? '';
            return {
              status: letter,
              from: text(oldPath) || text(path),
              to: text(path),
              oldMode,
              newMode,
              oldId: oldBlobId,
              newId: newBlobId,
            };
          });
      },
      git: async () => {
        const options = [
          '-z',
          '--stdin',
          '-r',
          '--root',
          '--diff-filter=AMDTCR',
          '--find-renames=30%',
          '--no-commit-id',
          `--abbrev=${hexLength}`,
        ];
        const items = await git.items(
          ['diff-tree', ...options, allParents ? '-c' : '-m'],
          `${asked.join(' ')}\n`,
        );
        // The ids of the trees precede changes between trees; diff-tree refuses a missing tree.
        const [first] = items;
        if (first !== undefined) items[0] = Buffer.from(text(first).replace(/^[^:]*\n/, ''), 'latin1');
        await Promise.all(
          asked.map((oid) => git.output(['cat-file', asked.length === 2 ? 'tree' : 'commit', oid])),
        );
        return changesOf(git, items, asked, allParents);
      },
    })),
  );

/**
 * Changes of a merge against all parents at once have a mode, an id and a letter for each parent.
 */
async function changesOf(
  git: AskGit,
  items: readonly Buffer[],
  asked: readonly string[],
  allParents: boolean,
): Promise<Change[]> {
  const isMerge =
    allParents && asked.length === 1 && (await gitCommit(git, asked[0] ?? '')).parents.length > 1;
  if (!isMerge) return parseRaw(items);
  const changes: Change[] = [];
  for (let at = 0; at < items.length; at += 2) {
    const [line, path] = [text(items[at] ?? Buffer.of()), text(items[at + 1] ?? Buffer.of())];
    const parents = line.search(/[^:]/);
    const words = line.slice(parents).split(' ');
    const [newMode, newId, letters] = [
      Number.parseInt(words[parents] ?? '', 8),
      words[2 * parents + 1] ?? '',
      words[2 * parents + 2] ?? '',
    ];
    for (let parent = 0; parent < parents; parent++) {
      const oldMode = Number.parseInt(words[parent] ?? '', 8);
      const oldId = words[parents + 1 + parent] ?? '';
      changes.push({ status: letters.charAt(parent), from: path, to: path, oldMode, newMode, oldId, newId });
    }
  }
  return changes;
}

const getPatchId: Comparer = (about, { diff }) => {
  const { repository, git } = about;
  return sidesOf(about, 6).map(({ leftCommitId, rightCommitId }) => ({
    question: `GetPatchID ${leftCommitId} ${rightCommitId}`,
    ours: async () => {
      const request = {
        repository,
        oldRevision: Buffer.from(leftCommitId),
        newRevision: Buffer.from(rightCommitId),
      };
      return (await diff.getPatchID(request, CALL)).patchId;
    },
    git: async () => {
      const patch = await git.output(['diff', '--full-index', leftCommitId, rightCommitId]);
      if (patch.length === 0) await git.output(['rev-parse', '--verify', 'no-difference']);
      // Runs outside the repository, because patch ids use another object format.
      return (await git.word(['--git-dir=/nonexistent', 'patch-id', '--verbatim'], patch)).split(' ')[0];
    },
  }));
};

const diffBlobs: Comparer = ({ repository, git, blobs, hexLength, pick }, { diff }) =>
  Array.from({ length: 10 }, () => [pick(blobs), pick(blobs)] as const).map(([leftBlob, rightBlob]) => ({
    question: `DiffBlobs ${leftBlob} ${rightBlob}`,
    ours: async () => {
      const request = {
        repository,
        blobPairs: [{ leftBlob: Buffer.from(leftBlob), rightBlob: Buffer.from(rightBlob) }],
      };
      const messages = await Array.fromAsync(diff.diffBlobs(request, CALL));
      return text(Buffer.concat(messages.map(({ patch }) => patch)));
    },
    git: async () => {
      // The RPC refuses to compare a blob with itself.
      if (leftBlob === rightBlob) await git.output(['rev-parse', '--verify', 'equal']);
      return (
        patchesOf(text(await git.output(['diff', `--abbrev=${hexLength}`, leftBlob, rightBlob])))[0]?.patch ??
        ''
      );
    },
  }));

export const diffComparers: readonly Comparer[] = [
  commitDiff,
  commitDelta,
  rawDiff,
  rawPatch,
  diffStats,
  findChangedPaths,
  getPatchId,
  diffBlobs,
];
