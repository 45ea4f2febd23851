import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gitOutput } from '../init-repository.ts';
import { commitObject, ODD_COMMITS, ODD_TREES, treeObject } from './odd-objects.ts';

/** Names of the objects of {@link addEveryOddity}. */
export interface EveryOddity {
  /** Commits by what is odd about them; each is the parent of the next. */
  readonly commits: ReadonlyMap<string, string>;
  /** Trees by what is odd about them; each has a commit with the name `tree-…`. */
  readonly trees: ReadonlyMap<string, string>;
  readonly blobs: Readonly<Record<'text' | 'other' | 'empty' | 'to-dir' | 'broken', string>>;
  readonly tags: ReadonlyMap<string, string>;
}

const TAGGER = 'tagger Tag <tag@example.com> 1600000000 +0000';
const LONG_NAME = 'long/'.concat('n'.repeat(195));

/** Writes an object as it is. Returns its id. */
function write(path: string, type: string, content: string | Uint8Array): string {
  return gitOutput(path, ['hash-object', '-t', type, '-w', '--stdin', '--literally'], content);
}

/**
 * Adds a branch `odd/…` for each odd commit and tree, and the odd references; `main` is their last
 * commit.
 */
export function addEveryOddity(path: string): EveryOddity {
  const blobs = {
    text: write(path, 'blob', 'one\ntwo\n'),
    other: write(path, 'blob', Buffer.from('\0binary\xff', 'latin1')),
    empty: write(path, 'blob', ''),
    'to-dir': write(path, 'blob', 'no-files'),
    broken: write(path, 'blob', '../../nowhere'),
  };
  const tree = write(path, 'tree', treeObject([['100644', 'x', 'text']], { ...NO_IDS, ...blobs }));
  const ids = { ...blobs, tree, 'no-files': write(path, 'tree', ''), module: '1'.repeat(tree.length) };
  const trees = new Map(
    Object.entries(ODD_TREES).map(([name, entries]) => [name, write(path, 'tree', treeObject(entries, ids))]),
  );
  const commits = new Map<string, string>();
  let parent: string | undefined;
  const add = (name: string, object: Buffer): void => {
    parent = write(path, 'commit', object);
    commits.set(name, parent);
  };
  add('root', commitObject({}, tree, undefined));
  for (const [name, odd] of trees) add(`tree-${name}`, commitObject({ message: `${name}\n` }, odd, parent));
  for (const [name, odd] of Object.entries(ODD_COMMITS)) add(name, commitObject(odd, tree, parent));
  add('last', commitObject({ message: 'last\n' }, trees.get('modes') ?? tree, parent));
  const tags = addTags(path, { commit: parent ?? '', tree, blob: blobs.text });
  addReferences(path, commits, tags);
  return { commits, trees, blobs, tags };
}

const NO_IDS = { tree: '', 'no-files': '', module: '' };

/** Writes tags of each type of object, and tags as other programs have written them. */
function addTags(
  path: string,
  of: Readonly<Record<'commit' | 'tree' | 'blob', string>>,
): Map<string, string> {
  const tags = new Map<string, string>();
  const add = (name: string, type: string, object: string, end: string): string => {
    const oid = write(
      path,
      'tag',
      Buffer.from(`object ${object}\ntype ${type}\ntag ${name}\n${end}`, 'latin1'),
    );
    tags.set(name, oid);
    return oid;
  };
  const first = add('of-commit', 'commit', of.commit, `${TAGGER}\n\nmessage\n`);
  add('of-tree', 'tree', of.tree, `${TAGGER}\n\nmessage\n`);
  add('of-blob', 'blob', of.blob, `${TAGGER}\n\nmessage\n`);
  const second = add('of-tag', 'tag', first, `${TAGGER}\n\nmessage\n`);
  add('of-tag-of-tag', 'tag', second, `${TAGGER}\n\n\n\nmessage\n\n\n`);
  add('without-tagger', 'commit', of.commit, '\nmessage\n');
  add('without-message', 'commit', of.commit, `${TAGGER}\n`);
  add('without-date', 'commit', of.commit, 'tagger Tag <tag@example.com>\n\nmessage\n');
  add('date-unreadable', 'commit', of.commit, 'tagger Tag <tag@example.com> now +0000\n\nmessage\n');
  add('zone-long', 'commit', of.commit, 'tagger Tag <tag@example.com> 1600000000 +051800\n\nmessage\n');
  add('latin-1', 'commit', of.commit, `${TAGGER}\n\ncaf\xe9\0after`);
  add('other-name', 'commit', of.commit, `${TAGGER}\n\nmessage\n`);
  return tags;
}

/** Adds references of all kinds: by git, or as files where git refuses them. */
function addReferences(
  path: string,
  commits: ReadonlyMap<string, string>,
  tags: ReadonlyMap<string, string>,
): void {
  const last = commits.get('last') ?? '';
  const tag = tags.get('of-commit') ?? '';
  const lines = [
    ...[...commits].map(([name, oid]) => `refs/heads/odd/${name} ${oid}`),
    ...[...tags].map(([name, oid]) => `refs/tags/${name === 'other-name' ? 'not-its-name' : name} ${oid}`),
    ...[
      `refs/heads/${LONG_NAME}`,
      `refs/tags/${LONG_NAME}`,
      'refs/heads/l\xe9\xff',
      'refs/tags/l\xe9\xff',
    ].map((name) => `${name} ${last}`),
    ...['dir/x', 'dir/y', 'dir-z', 'dir.z', 'dir0', 'both', '"q"', "it's", '-option', '@', '#'].map(
      (name) => `refs/heads/${name} ${last}`,
    ),
    `refs/heads/main ${last}`,
    `refs/tags/both ${commits.get('root')}`,
    `refs/tags/light-tree ${gitOutput(path, ['rev-parse', `${last}^{tree}`])}`,
    `refs/stash ${last}`,
    `refs/notes/commits ${last}`,
    `refs/keep-around/${last} ${last}`,
    `refs/remotes/origin/topic ${last}`,
    `refs/x ${last}`,
  ];
  const updates = lines.map((line) => `create ${line}\n`).join('');
  gitOutput(path, ['update-ref', '--stdin'], Buffer.from(updates, 'latin1'));
  gitOutput(path, ['symbolic-ref', 'refs/heads/symbolic', 'refs/heads/main']);
  gitOutput(path, ['symbolic-ref', 'refs/heads/symbolic-2', 'refs/heads/symbolic']);
  gitOutput(path, ['symbolic-ref', 'refs/heads/dangling', 'refs/heads/not-there']);
  gitOutput(path, ['symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/topic']);
  file(path, 'refs/heads/of-a-tag', `${tag}\n`);
}

/** Other states of a repository with {@link addEveryOddity}; each excludes some of the others. */
export const ODD_STATES: Readonly<Record<string, (path: string, made: EveryOddity) => void>> = {
  'packed references': (path) => void gitOutput(path, ['pack-refs', '--all']),
  'a detached HEAD': (path, { commits }) => file(path, 'HEAD', `${commits.get('message-none')}\n`),
  'a HEAD without a branch': (path) => file(path, 'HEAD', 'ref: refs/heads/not-there\n'),
  'a HEAD outside of branches': (path) => file(path, 'HEAD', 'ref: refs/stash\n'),
  'replace references and grafts': (path, { commits, blobs, trees }) => {
    const [from, to] = [commits.get('zone-missing'), commits.get('root')];
    gitOutput(path, ['update-ref', `refs/replace/${from}`, to ?? '']);
    gitOutput(path, ['update-ref', `refs/replace/${blobs.text}`, blobs.other]);
    gitOutput(path, ['update-ref', `refs/replace/${trees.get('modes')}`, trees.get('names') ?? '']);
    file(path, 'info/grafts', `${commits.get('message-CRLF')} ${to}\n${commits.get('header-gpgsig')}\n`);
  },
  'a shallow file': (path, { commits }) => file(path, 'shallow', `${commits.get('header-unknown')}\n`),
};

function file(path: string, name: string, content: string): void {
  mkdirSync(dirname(join(path, name)), { recursive: true });
  writeFileSync(join(path, name), content);
}
