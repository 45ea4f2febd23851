import { posix } from 'node:path';
import { type AskGit, ifFailed, splitAt } from './ask-git.ts';
import { gitCommit, ourCommit } from './commit-answers.ts';
import { CALL, type Comparer, text } from './comparison.ts';

const MODES: Readonly<Record<string, number>> = { blob: 0, tree: 1, commit: 3 };
/** TreeEntryResponse has its own numbers. */
const TYPES: Readonly<Record<string, number>> = { commit: 0, blob: 1, tree: 2 };
const FLAT_STEPS = 9;

interface Entry {
  readonly mode: number;
  readonly type: string;
  readonly oid: string;
  readonly path: string;
}

/** Returns the output of `ls-tree -z`. */
async function listTree(git: AskGit, args: readonly (string | Buffer)[]): Promise<Entry[]> {
  return entriesOf(await git.output(['ls-tree', '-z', ...args]));
}

function entriesOf(listing: Buffer): Entry[] {
  return splitAt(listing, 0).map((item) => {
    const tab = item.indexOf('\t');
    const [mode = '', type = '', oid = ''] = text(item.subarray(0, tab)).split(' ');
    return { mode: Number.parseInt(mode, 8), type, oid, path: text(item.subarray(tab + 1)) };
  });
}

const listFiles: Comparer = ({ repository, git, names, some }, { commit }) =>
  ['main', 'twice', 'c4', ...some(names, 12)].map((revision) => ({
    question: `ListFiles ${revision}`,
    ours: async () =>
      (
        await Array.fromAsync(commit.listFiles({ repository, revision: Buffer.from(revision) }, CALL))
      ).flatMap(({ paths }) => paths.map(text)),
    git: async () => {
      // Entries before a missing directory are listed.
      const entries = entriesOf(
        await git.outputUntilItFails(['ls-tree', '-z', '-r', '--full-tree', revision]),
      );
      return entries.filter(({ type }) => type === 'blob').map(({ path }) => path);
    },
  }));

const getTreeEntries: Comparer = ({ repository, git, names, paths, kind, some, pick }, { commit }) =>
  [false, true].flatMap((recursive) =>
    [
      ...some(names, 8).map((revision) => [revision, Buffer.from('.')] as const),
      ...some(paths, 14).map((path) => [pick(['main', 'twice', 'c4', ...names]), path] as const),
    ].map(([revision, path]) => ({
      question: `GetTreeEntries ${recursive} ${revision} ${text(path)}`,
      ours: async () => {
        const messages = await Array.fromAsync(
          commit.getTreeEntries({ repository, revision: Buffer.from(revision), path, recursive }, CALL),
        );
        return messages
          .flatMap(({ entries }) => entries)
          .map(({ mode, type, oid, path, flatPath }) => ({
            mode,
            type,
            oid,
            path: text(path),
            flatPath: text(flatPath),
          }));
      },
      git: async () => {
        const directory = text(path) === '.' ? '' : text(path);
        const treeish = Buffer.concat([Buffer.from(`${revision}:`), Buffer.from(directory, 'latin1')]);
        const tree = await git.word(['rev-parse', '--verify', '--end-of-options', treeish]);
        const entries = await listTree(git, recursive ? ['-r', '-t', tree] : [tree]);
        return Promise.all(
          entries.map(async ({ mode, type, oid, path }) => {
            const full = directory === '' ? path : posix.join(directory, path);
            return {
              mode,
              type: MODES[type],
              oid,
              path: full,
              flatPath: recursive ? '' : await flatPathOf(git, type, oid, full),
            };
          }),
        );
      },
      // For ls-tree a damaged tree below is not an error, except with the flat path.
      mayFail: kind === 'damaged',
    })),
  );

async function flatPathOf(git: AskGit, type: string, oid: string, path: string): Promise<string> {
  let [flat, tree] = [path, type === 'tree' ? oid : undefined];
  for (let step = 0; step < FLAT_STEPS && tree !== undefined; step++) {
    // An unreadable tree ends the path too.
    const [only, ...others] = await listTree(git, [tree]).catch(ifFailed([]));
    if (only === undefined || others.length > 0 || only.type !== 'tree') break;
    flat = `${flat}/${only.path}`;
    tree = only.oid;
  }
  return flat;
}

const treeEntry: Comparer = ({ repository, git, names, paths, some, pick }, { commit }) =>
  some(paths, 50).map((path) => {
    const revision = pick(['main', 'main', 'c4', 'twice', ...names]);
    return {
      question: `TreeEntry ${revision} ${text(path)}`,
      ours: async () => {
        const messages = await Array.fromAsync(
          commit.treeEntry({ repository, revision: Buffer.from(revision), path }, CALL),
        );
        const [first] = messages;
        const data = text(Buffer.concat(messages.map(({ data }) => data)));
        return { type: first?.type, oid: first?.oid, mode: first?.mode, size: Number(first?.size), data };
      },
      git: async () => {
        const { entry, size, data } = await entryAt(git, revision, path);
        const isBlob = entry.type === 'blob';
        return {
          type: TYPES[entry.type],
          oid: entry.oid,
          mode: entry.mode,
          size,
          data: isBlob ? text(data) : '',
        };
      },
    };
  });

/**
 * Returns the entry whose name equals the path byte by byte, and its object.
 *
 * @throws {GitFailed} when there is none.
 */
export async function entryAt(
  git: AskGit,
  revision: string,
  path: Buffer,
): Promise<{ entry: Entry; size: number; data: Buffer }> {
  const name = text(path).replace(/(?<=.)\/+$/, '');
  const slash = name.lastIndexOf('/');
  const parent = Buffer.from(`${revision}:${slash < 0 ? '' : name.slice(0, slash)}`, 'latin1');
  const entries = await listTree(git, [
    await git.word(['rev-parse', '--verify', '--end-of-options', parent]),
  ]);
  const isClean = !name.startsWith('/') && name === posix.normalize(name);
  const entry = entries.find((one) => isClean && one.path === name.slice(slash + 1));
  if (entry === undefined) {
    await git.output(['rev-parse', '--verify', '--end-of-options', 'no-such-entry']);
    throw new Error('git finds what is not there');
  }
  if (entry.type === 'commit') return { entry, size: 0, data: Buffer.of() };
  const data = await git.output(['cat-file', entry.type, entry.oid]);
  return { entry, size: data.length, data };
}

const listLastCommitsForTree: Comparer = ({ repository, git, names, paths, some, pick }, { commit }) =>
  ['', 'dir/', ...some(paths, 3).map(text)].map((directory) => {
    const revision = pick(['main', 'twice', 'c10', 'c20', ...names]);
    const literal = { globalOptions: { literalPathspecs: true } };
    return {
      question: `ListLastCommitsForTree ${revision} ${directory}`,
      ours: async () => {
        const request = {
          repository,
          revision,
          path: Buffer.from(directory, 'latin1'),
          limit: 1000,
          ...literal,
        };
        const messages = await Array.fromAsync(commit.listLastCommitsForTree(request, CALL));
        return messages
          .flatMap(({ commits }) => commits)
          .map((one) => ({ path: text(one.pathBytes), commit: ourCommit(one.commit) }));
      },
      git: async () => {
        const path = Buffer.from(directory === '' || directory === '/' ? '.' : directory, 'latin1');
        const entries = await listTree(git, ['--full-name', revision, '--', path]);
        const sorted = ['tree', 'blob', 'commit'].flatMap((type) =>
          entries.filter((entry) => entry.type === type),
        );
        return Promise.all(
          sorted.map(async ({ path }) => {
            const log = [
              '--literal-pathspecs',
              'log',
              '--format=%H',
              '--max-count=1',
              revision,
              '--',
              Buffer.from(path, 'latin1'),
            ];
            return { path, commit: await gitCommit(git, await git.word(log)) };
          }),
        );
      },
    };
  });

const rawBlame: Comparer = ({ repository, git, names, paths, some, pick }, { commit }) =>
  some(paths, 14).map((path) => {
    const revision = pick(['main', 'main', 'c20', ...names]);
    const range = pick(['', '', '1,2', '3,1', '2,1000']);
    return {
      question: `RawBlame ${revision} ${text(path)} ${range}`,
      ours: async () => {
        const request = { repository, revision: Buffer.from(revision), path, range: Buffer.from(range) };
        return text(
          Buffer.concat((await Array.fromAsync(commit.rawBlame(request, CALL))).map(({ data }) => data)),
        );
      },
      git: async () =>
        text(await git.output(['blame', '-p', ...(range ? ['-L', range] : []), revision, '--', path])),
    };
  });

const checkedBlobs = (answers: readonly { oid: string; size: bigint; data: Uint8Array }[]): string[] => {
  const joined: { oid: string; size: bigint; data: Uint8Array[] }[] = [];
  for (const { oid, size, data } of answers) {
    if (oid !== '') joined.push({ oid, size, data: [data] });
    else joined.at(-1)?.data.push(data);
  }
  return joined.map(({ oid, size, data }) => `${oid} ${size} ${text(Buffer.concat(data))}`);
};

/** Returns `<oid> <size> <contents>` as in {@link checkedBlobs}. */
async function gitBlob(git: AskGit, oid: string, limit = -1): Promise<string> {
  const data = await git.output(['cat-file', 'blob', oid]);
  return `${oid} ${data.length} ${text(limit < 0 ? data : data.subarray(0, limit))}`;
}

const getBlob: Comparer = ({ repository, git, revisions, blobs, some }, { blob }) =>
  [...revisions, ...some(blobs, 15)].flatMap((oid) =>
    [-1, 7].map((limit) => ({
      question: `GetBlob ${oid} ${limit}`,
      ours: async () => {
        const messages = await Array.fromAsync(blob.getBlob({ repository, oid, limit: BigInt(limit) }, CALL));
        return messages[0]?.oid === '' ? undefined : checkedBlobs(messages)[0];
      },
      git: async () => {
        const type = await git.word(['cat-file', '-t', oid]);
        return type === 'blob'
          ? gitBlob(git, await git.word(['rev-parse', '--verify', '--end-of-options', oid]), limit)
          : undefined;
      },
      withoutGit: [undefined],
    })),
  );

const getBlobs: Comparer = ({ repository, git, names, paths, kind, some, pick }, { blob }) =>
  Array.from({ length: 5 }, () =>
    some(paths, 8).map((path) => ({ revision: pick(['main', 'c4', 'twice', ...names]), path })),
  ).map((revisionPaths) => ({
    question: `GetBlobs ${revisionPaths.map(({ revision, path }) => `${revision}:${text(path)}`)}`,
    ours: async () => {
      const answers: Record<string, unknown>[] = [];
      for await (const one of blob.getBlobs({ repository, revisionPaths, limit: -1n }, CALL)) {
        if (one.revision === '') throw new Error('no answer is longer than a message here');
        const { oid, mode, size, type, isSubmodule, data } = one;
        answers.push(
          oid === '' ? { oid } : { oid, mode, size: Number(size), type, isSubmodule, data: text(data) },
        );
      }
      return answers;
    },
    git: () =>
      Promise.all(
        revisionPaths.map(async ({ revision, path }) => {
          const found = await entryAt(git, revision, path).catch(() => undefined);
          if (found === undefined) return { oid: '' };
          const { entry, size, data } = found;
          const [isSubmodule, isBlob] = [entry.type === 'commit', entry.type === 'blob'];
          const type = { commit: 1, blob: 2, tree: 3 }[entry.type];
          return {
            oid: entry.oid,
            mode: entry.mode,
            size,
            type,
            isSubmodule,
            data: isBlob ? text(data) : '',
          };
        }),
      ),
    mayFail: kind === 'damaged',
  }));

const listBlobs: Comparer = ({ repository, git, revisions, some }, { blob }) =>
  [['main'], ['twice'], ['--all'], ['main', '^c10'], ...some(revisions, 8).map((one) => [one])].map(
    (asked) => ({
      question: `ListBlobs ${asked}`,
      ours: async () => {
        const messages = await Array.fromAsync(
          blob.listBlobs({ repository, revisions: asked, bytesLimit: 5n, withPaths: true }, CALL),
        );
        return messages
          .flatMap(({ blobs }) => blobs)
          .map(({ oid, size, data, path }) => `${oid} ${size} ${text(data)} ${text(path)}`);
      },
      git: async () => {
        const filter = ['--filter=object:type=blob', '--filter-provided-objects'];
        const walk = ['rev-list', '--in-commit-order', '--objects', '--object-names', ...filter, ...asked];
        const objects = splitAt(await git.output(walk), 0x0a).map(text);
        return Promise.all(
          objects.map(async (line) => {
            const [oid = ''] = line.split(' ', 1);
            return `${await gitBlob(git, oid, 5)} ${line.slice(oid.length + 1)}`;
          }),
        );
      },
    }),
  );

const listAllBlobs: Comparer = ({ repository, git, kind }, { blob }) => [
  {
    question: 'ListAllBlobs',
    ours: async () => {
      const messages = await Array.fromAsync(blob.listAllBlobs({ repository, bytesLimit: -1n }, CALL));
      return checkedBlobs(messages.flatMap(({ blobs }) => blobs)).toSorted();
    },
    git: async () => {
      const objects = await git.lines([
        'cat-file',
        '--batch-all-objects',
        '--batch-check=%(objecttype) %(objectname)',
      ]);
      const oids = objects.filter((line) => line.startsWith('blob ')).map((line) => line.slice(5));
      return (await Promise.all(oids.map((oid) => gitBlob(git, oid)))).toSorted();
    },
    mayFail: kind === 'damaged',
  },
];

const lfsPointers: Comparer = ({ repository, git, blobs, kind }, { blob }) => [
  {
    question: 'ListAllLFSPointers',
    ours: async () => {
      const messages = await Array.fromAsync(blob.listAllLFSPointers({ repository }, CALL));
      return messages
        .flatMap(({ lfsPointers }) => lfsPointers)
        .map(({ oid, data }) => `${oid} ${text(data)}`)
        .toSorted();
    },
    git: async () => {
      const read = async (oid: string): Promise<string> =>
        text(await git.output(['cat-file', 'blob', oid]).catch(ifFailed(Buffer.of())));
      const all = await Promise.all(blobs.map(async (oid) => `${oid} ${await read(oid)}`));
      return all.filter((line) => line.includes(' version https://git-lfs')).toSorted();
    },
    mayFail: kind === 'damaged',
  },
];

export const treeComparers: readonly Comparer[] = [
  listFiles,
  getTreeEntries,
  treeEntry,
  listLastCommitsForTree,
  rawBlame,
  getBlob,
  getBlobs,
  listBlobs,
  listAllBlobs,
  lfsPointers,
];
