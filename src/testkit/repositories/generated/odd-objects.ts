import { ODD_SECONDS } from './odd-repositories.ts';

/** The parts of a commit object: lines of headers, and what follows the empty line. */
export interface OddCommit {
  readonly author?: string | undefined;
  readonly committer?: string | undefined;
  /** Lines of headers after the committer. */
  readonly headers?: readonly string[];
  /** As bytes in Latin-1; `undefined` leaves out the empty line, too. */
  readonly message?: string | undefined;
  /** Number of times that the parent is named; default once. */
  readonly parents?: number;
}

const ANN = 'Ann <ann@example.com>';
const at = (date: string): OddCommit => ({ author: `${ANN} ${date}`, committer: `${ANN} ${date}` });
const SIGNATURE = ['-----BEGIN PGP SIGNATURE-----', ' ', ' =abcd', ' -----END PGP SIGNATURE-----'];
const MERGED_TAG = ['object 1', ' type commit', ' tag v1', ` tagger ${ANN} 1600000000 +0000`, ' ', ' v1'];

/** Commits that git reads and that older or other programs have written, by what is odd. */
export const ODD_COMMITS: Readonly<Record<string, OddCommit>> = {
  'date-before-1970': at(`${ODD_SECONDS} +0000`),
  'date-negative': at('-1 +0000'),
  'date-zero': at('0 +0000'),
  'date-large': at(`${2 ** 53} +0000`),
  'date-too-large': at('99999999999999999999999 +0000'),
  'date-unreadable': at('yesterday +0000'),
  'date-missing': { author: ANN, committer: ANN },
  'zone-1159': at('1600000000 -1159'),
  'zone+9999': at('1600000000 +9999'),
  'zone-long': at('1600000000 +051800'),
  'zone-missing': at('1600000000'),
  'email-missing': { author: 'Ann 1600000000 +0000', committer: 'Ann 1600000000 +0000' },
  'email-brackets': { author: 'Ann <a<b>c> 1600000000 +0000' },
  'committer-missing': { committer: undefined },
  'author-missing': { author: undefined },
  'authors-two': { headers: [`author Bob <bob@example.com> 1600000000 +0000`] },
  'header-gpgsig': { headers: [`gpgsig ${SIGNATURE.join('\n')}`] },
  'header-mergetag': { headers: [`mergetag ${MERGED_TAG.join('\n')}`] },
  'header-unknown': { headers: ['HG:rename a:b', 'x-y first\n second'] },
  'encoding-latin-1': { headers: ['encoding ISO-8859-1'], message: 'caf\xe9\n' },
  'encoding-unknown': { headers: ['encoding x-klingon'], message: 'caf\xe9\n' },
  'encoding-iso-2022-jp': { headers: ['encoding ISO-2022-JP'], message: '\x1b$B$3\x1b(B\n' },
  'parents-twice': { parents: 2 },
  'message-NUL': { message: 'before\0after\n\nbody\0\n' },
  'message-none': { message: undefined },
  'message-empty': { message: '' },
  'message-long': { message: `${'subject '.repeat(2 ** 17)}\n` },
  'message-CRLF': { message: 'subject\r\n\r\nbody\r\n' },
  'message-without-line-feed': { message: 'subject' },
  'message-leading-lines': { message: '\n\n  \nsubject\n' },
};

/** Returns a commit object. */
export function commitObject(odd: OddCommit, tree: string, parent: string | undefined): Buffer {
  const commit = { ...at('1600000000 +0000'), message: 'subject\n\nbody\n', ...odd };
  const lines = [`tree ${tree}`];
  for (let count = odd.parents ?? 1; parent !== undefined && count > 0; count--)
    lines.push(`parent ${parent}`);
  if (commit.author !== undefined) lines.push(`author ${commit.author}`);
  if (commit.committer !== undefined) lines.push(`committer ${commit.committer}`);
  lines.push(...(commit.headers ?? []));
  const message = commit.message === undefined ? '' : `\n${commit.message}`;
  return Buffer.from(`${lines.join('\n')}\n${message}`, 'latin1');
}

/** The object that an entry of an odd tree names. */
export type OddEntryTarget =
  | 'text'
  | 'other'
  | 'empty'
  | 'to-dir'
  | 'broken'
  | 'tree'
  | 'no-files'
  | 'module';

type OddEntry = readonly [mode: string, name: string, target: OddEntryTarget];

/** Sorts entries in git's order: a directory as if its name ended with a slash. */
function sorted(entries: readonly OddEntry[]): OddEntry[] {
  const key = ([mode, name]: OddEntry): string => (Number(mode) === 40000 ? `${name}/` : name);
  return entries.toSorted((left, right) => (key(left) < key(right) ? -1 : 1));
}

const NAMES = [
  ...[
    'l\xe9\xff',
    'new\nline',
    'tab\t',
    '"quoted"',
    'back\\slash',
    ' space ',
    '-option',
    ':(glob)*',
    '*',
    '#',
  ],
  ...['.git', '.GIT', '.git~1', '.gitmodules.', 'git~1', '..', '.', 'a/b', 'con', '\u00fc', '\x01\x7f'],
  'n'.repeat(255),
];

/**
 * Trees, by what is odd; git reads all of them, and fsck refuses some. Names are bytes in Latin-1.
 */
export const ODD_TREES: Readonly<Record<string, readonly OddEntry[]>> = {
  names: sorted(NAMES.map((name) => ['100644', name, 'text'])),
  directories: sorted(NAMES.map((name) => ['40000', name, 'tree'])),
  modes: sorted([
    ['100664', 'group-writable', 'text'],
    ['0100644', 'zero-padded', 'text'],
    ['040000', 'zero-padded-directory', 'tree'],
    ['100755', 'program', 'text'],
    ['100600', 'private', 'text'],
    ['120000', 'link-broken', 'broken'],
    ['120000', 'link-to-directory', 'to-dir'],
    ['160000', 'module', 'module'],
    ['40000', 'no-files', 'no-files'],
    ['100644', 'nothing', 'empty'],
  ]),
  duplicates: [
    ['100644', 'f', 'text'],
    ['100644', 'f', 'other'],
    ['40000', 'g', 'tree'],
    ['100644', 'g', 'text'],
  ],
  unsorted: [
    ['100644', 'z', 'text'],
    ['40000', 'dir', 'tree'],
    ['100644', 'dir-x', 'text'],
    ['100644', 'dir.x', 'other'],
    ['100644', 'a', 'other'],
  ],
  none: [],
};

/** Returns a tree object. @param ids by target */
export function treeObject(
  entries: readonly OddEntry[],
  ids: Readonly<Record<OddEntryTarget, string>>,
): Buffer {
  return Buffer.concat(
    entries.flatMap(([mode, name, target]) => [
      Buffer.from(`${mode} ${name}\0`, 'latin1'),
      Buffer.from(ids[target], 'hex'),
    ]),
  );
}
