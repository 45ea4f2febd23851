import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { randomTrees } from '#testkit/repositories/generated/random-trees';
import { initRepository } from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import type { Random } from '#testkit/repositories/random-history';
import { AskGit, splitAt } from './ask-git.ts';
import { oddHistory } from './odd-history.ts';

export type Kind = 'sound' | 'replaced' | 'damaged' | 'chained' | 'shallow' | 'reftable';
/** Kinds that this machine's git can create. */
export const KINDS: readonly Kind[] = [
  ...(['sound', 'replaced', 'damaged', 'chained', 'shallow'] as const),
  ...(needsGit('reftable') ? [] : (['reftable'] as const)),
];
export type ObjectFormat = 'sha1' | 'sha256';

/** Subjects of requests, including names that do not exist (any more). */
export interface OddRepository {
  readonly kind: Kind;
  readonly repository: { readonly storageName: 'default'; readonly relativePath: string };
  readonly git: AskGit;
  /** The repository before it was damaged. */
  readonly intact: AskGit | undefined;
  readonly hexLength: number;
  readonly commits: readonly string[];
  readonly trees: readonly string[];
  readonly blobs: readonly string[];
  readonly tags: readonly string[];
  /** Full names. */
  readonly refs: readonly Buffer[];
  /** Values that a client may use as a revision, UTF-8, without white space. */
  readonly revisions: readonly string[];
  /** Those of the {@link revisions} that are valid where no path is allowed. */
  readonly names: readonly string[];
  readonly paths: readonly Buffer[];
}

/** Random choices. */
export interface Choices {
  pick<T>(items: readonly T[]): T;
  some<T>(items: readonly T[], count: number): T[];
}

export function choices(random: Random): Choices {
  // The lists are never empty.
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  return { pick, some: (items, count) => Array.from({ length: count }, () => pick(items)) };
}

const COMMITS = 40;
const ODD_PATHS = [
  'nope',
  'dir/',
  'dir//a',
  './a',
  'dir/../a',
  '../a',
  '.',
  '/',
  '/a',
  'a/b',
  'DIR',
  'every/x\x01',
  '*',
  ':(top)a',
  'l\xe9',
];

/**
 * Creates a repository `<kind>-<format>.git` in the storage, with plain git, a different one for
 * each state of `random`.
 */
export async function makeOddRepository(
  storage: string,
  { kind, format, random }: { kind: Kind; format: ObjectFormat; random: Random },
): Promise<OddRepository> {
  const relativePath = `${kind}-${format}.git`;
  const directory = join(storage, relativePath);
  const hexLength = format === 'sha1' ? 40 : 64;
  const git = new AskGit(directory);
  const { pick, some } = choices(random);
  const isSo = (): boolean => random() < 0.5;

  initRepository(directory, { objectFormat: format, referenceBackend: kind === 'reftable' ? kind : 'files' });
  // Loose objects: an object that is damaged or moved to an alternate must be a separate file.
  const fastImport = ['-c', 'fastimport.unpackLimit=100000', 'fast-import', '--quiet', '--done'];
  await git.output(fastImport, oddHistory(random, COMMITS, hexLength));
  await git.output(fastImport, randomTrees(random, { count: 5, hexLength }));
  await addUnusualCommits(git, await addUnusualTree(git));
  const targets = ['c3', 'c9^{tree}', 'main^{tree}', 'twice:f', 'c12', 'c13'];
  await addTags(git, targets);
  await addReferences(git);

  const objects = await git.lines([
    'cat-file',
    '--batch-all-objects',
    '--batch-check=%(objecttype) %(objectname)',
  ]);
  const ofType = (type: string): string[] =>
    objects.filter((line) => line.startsWith(`${type} `)).map((line) => line.slice(type.length + 1));
  const [commits, trees, blobs, tags] = [ofType('commit'), ofType('tree'), ofType('blob'), ofType('tag')];
  const refs = splitAt(await git.output(['for-each-ref', '--format=%(refname)']), 0x0a);
  const known = await git.items(['log', '--all', '-m', '--format=', '--name-only', '-z', '--no-renames']);
  const paths = [...new Set(known.map((path) => path.toString('latin1')))].filter(
    (path) => path !== '' && !path.startsWith('every/'),
  );
  const directories = paths.flatMap((path) => (path.includes('/') ? [dirname(path)] : []));
  const revisions = [
    ...[
      'HEAD',
      'main',
      'refs/heads/main',
      'c5~2',
      'c9^2',
      'main^{tree}',
      'main:dir',
      'commit-0-0',
      'tree-2-2^{}',
      'tree-2-2',
      'blob-3-3',
      'heads/both',
      'both',
    ],
    ...[
      'no-such',
      'main~1000',
      'main:nope',
      '1'.repeat(hexLength),
      'sym',
      'dangling',
      'c6...c4',
      'twice',
      'twice:f',
      'c7^{/subject}',
      'main@{1}',
    ],
    ...some(commits, 12),
    ...some(commits, 3).map((oid) => oid.slice(0, 9)),
    ...some(trees, 2),
    ...some(blobs, 2),
    ...some(tags, 3),
  ];
  const intact = kind === 'damaged' ? new AskGit(`${directory}-intact`, { mailmap: git }) : undefined;
  if (intact !== undefined) cpSync(directory, intact.directory, { recursive: true });
  await SPOIL[kind]?.(git, pick, { commits, trees, blobs });
  if (kind === 'chained') moveObjectsToAlternates(directory, format);
  if (kind === 'sound' && isSo()) await git.output(['repack', '-adq']);
  if (isSo()) await git.output(['pack-refs', '--all']).catch(() => undefined);
  if (kind === 'sound' && isSo())
    await git.output(['commit-graph', 'write', '--reachable', '--changed-paths']);

  return {
    kind,
    repository: { storageName: 'default', relativePath },
    git,
    intact,
    hexLength,
    commits,
    trees,
    blobs,
    tags,
    refs,
    revisions,
    names: revisions.filter((revision) => !revision.includes(':')),
    paths: [...paths, ...some(directories, 5), ...ODD_PATHS].map((path) => Buffer.from(path, 'latin1')),
  };
}

/** Moves the objects to a chain of alternates, each with a part of them; one link is relative. */
function moveObjectsToAlternates(directory: string, format: ObjectFormat): void {
  const lenders = ['one', 'two', 'three'].map((name) => `${directory}-${name}`);
  for (const lender of lenders) initRepository(lender, { objectFormat: format });
  [directory, ...lenders.slice(0, -1)].forEach((borrower, index) => {
    const lender = index === 1 ? `../../${basename(lenders[index] ?? '')}` : lenders[index];
    writeFileSync(join(borrower, 'objects/info/alternates'), `${lender}/objects\n`);
  });
  const objects = join(directory, 'objects');
  for (const fan of readdirSync(objects).filter((name) => /^[0-9a-f]{2}$/.test(name))) {
    const lender = lenders[Number.parseInt(fan, 16) % 4];
    if (lender !== undefined) renameSync(join(objects, fan), join(lender, 'objects', fan));
  }
}

/**
 * Adds a tree with a duplicate name, in an order that git would not write, with an obsolete mode.
 * Returns its id.
 */
async function addUnusualTree(git: AskGit): Promise<string> {
  const [one, two] = [
    await git.word(['hash-object', '-w', '--stdin'], 'one\n'),
    await git.word(['hash-object', '-w', '--stdin'], 'two\n'),
  ];
  const sub = await git.word(['mktree'], `100644 blob ${one}\tx\n`);
  const entries = [
    `100644 f\0${one}`,
    `100644 f\0${two}`,
    `40000 g\0${sub}`,
    `100664 g\0${one}`,
    `100644 z\0${two}`,
    `100755 e\0${one}`,
  ];
  const bytes = entries.map((entry) => {
    const end = entry.indexOf('\0') + 1;
    return Buffer.concat([Buffer.from(entry.slice(0, end)), Buffer.from(entry.slice(end), 'hex')]);
  });
  return git.word(['hash-object', '-t', 'tree', '--literally', '-w', '--stdin'], Buffer.concat(bytes));
}

/**
 * Adds `refs/heads/twice` with two commits: one with the unusual tree, and one in a form that git
 * would not write.
 */
async function addUnusualCommits(git: AskGit, tree: string): Promise<void> {
  const first = await git.word(['commit-tree', '-m', 'strange tree', tree]);
  const text =
    `tree ${tree}\nparent ${first}\nparent ${first}\n` +
    'author Ann <ann@example.com> 1600000000 +0000\ncommitter Cal <cal@example.com> 1600000000 +0000\n' +
    'gpgsig -----BEGIN PGP SIGNATURE-----\n \n =abcd\n -----END PGP SIGNATURE-----\n\n' +
    'same parent twice, signed\n';
  const second = await git.word(['hash-object', '-t', 'commit', '--literally', '-w', '--stdin'], text);
  await git.output(['update-ref', 'refs/heads/twice', second]);
}

/** Adds annotated tags of every object type, including tags of tags. */
async function addTags(git: AskGit, targets: readonly string[]): Promise<void> {
  const add = async (name: string, type: string, object: string, message: string): Promise<string> => {
    const text =
      `object ${object}\ntype ${type}\ntag ${name}\n` +
      `tagger Tag <old@example.com> 1500000000 -0330\n\n${message}`;
    const oid = await git.word(['hash-object', '-t', 'tag', '-w', '--stdin'], text);
    await git.output(['update-ref', `refs/tags/${name}`, oid]);
    return oid;
  };
  for (const [index, target] of targets.entries()) {
    const type = await git.word(['cat-file', '-t', target]);
    let oid = await git.word(['rev-parse', target]);
    let ofWhat = type;
    for (let depth = 0; depth <= index % 4; depth++) {
      oid = await add(
        `${type}-${index}-${depth}`,
        ofWhat,
        oid,
        ['message\n\n\n', 'a\nb\n\nc', '\n', `${'long '.repeat(3000)}\n`][depth] ?? '',
      );
      ofWhat = 'tag';
    }
  }
  await git.output(['update-ref', 'refs/tags/both', 'refs/heads/c3']);
  await git.output(['update-ref', 'refs/heads/both', 'refs/heads/c4']);
  await git.output(['update-ref', 'refs/tags/a-tree', 'refs/heads/main^{tree}']);
}

/** Adds references of all kinds. */
async function addReferences(git: AskGit): Promise<void> {
  await git.output(['symbolic-ref', 'refs/heads/sym', 'refs/heads/c2']);
  await git.output(['symbolic-ref', 'refs/heads/sym-sym', 'refs/heads/sym']);
  await git.output(['symbolic-ref', 'refs/heads/dangling', 'refs/heads/not-there']);
  await git.output(['update-ref', 'refs/remotes/origin/topic/x', 'refs/heads/c5']);
  await git.output(['symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/topic/x']);
  for (const name of [
    'refs/keep-around/k',
    'refs/heads/dir/x',
    'refs/heads/dir/y',
    'refs/heads/dir-z',
    'refs/heads/l\xe9',
    'refs/tags/v1.10',
    'refs/tags/v1.9',
  ]) {
    await git.output(['update-ref', Buffer.from(name, 'latin1'), 'refs/heads/c6']);
  }
}

type Objects = Readonly<Record<'commits' | 'trees' | 'blobs', readonly string[]>>;

/** The last change of a repository for each kind. */
const SPOIL: Partial<
  Record<Kind, (git: AskGit, pick: <T>(items: readonly T[]) => T, objects: Objects) => Promise<void>>
> = {
  async replaced(git, pick, { commits, blobs }) {
    await git.output(['update-ref', `refs/replace/${pick(commits)}`, pick(commits)]);
    await git.output(['update-ref', `refs/replace/${pick(blobs)}`, pick(blobs)]);
    // The last commit of history is grafted onto its beginning's parent, and one commit loses its
    // parents.
    const grafts = [
      `${await git.word(['rev-parse', 'c20'])} ${await git.word(['rev-parse', 'c2'])}`,
      await git.word(['rev-parse', 'c30']),
    ];
    mkdirSync(join(git.directory, 'info'), { recursive: true });
    writeFileSync(join(git.directory, 'info/grafts'), `${grafts.join('\n')}\n`);
  },
  async damaged(git, pick, { commits, trees, blobs }) {
    for (const oid of [pick(commits), pick(trees), pick(blobs), pick(blobs)])
      rmSync(looseFile(git, oid), { force: true });
    for (const oid of [pick(commits), pick(trees), pick(blobs)])
      spoil(looseFile(git, oid), 'not zlib at all');
    spoil(looseFile(git, pick(blobs)), '');
    // Git refuses to write these.
    writeFileSync(join(git.directory, 'refs/heads/broken'), 'this is no id\n');
    writeFileSync(join(git.directory, 'refs/heads/bad..name'), `${pick(commits)}\n`);
  },
  async shallow(git) {
    writeFileSync(join(git.directory, 'shallow'), `${await git.word(['rev-parse', 'c25'])}\n`);
  },
};

const looseFile = (git: AskGit, oid: string): string =>
  join(git.directory, 'objects', oid.slice(0, 2), oid.slice(2));

function spoil(file: string, contents: string): void {
  rmSync(file, { force: true }); // it is read-only
  writeFileSync(file, contents);
}
