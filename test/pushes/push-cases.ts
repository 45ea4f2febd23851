import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeScript } from '#testkit/operation-fixture';
import { gitOutput } from '#testkit/repositories/init-repository';
import type { Named } from './fixture.ts';

/** A push that a server receives in process, or leaves to git. */
export interface PushCase {
  readonly what: string;
  readonly command: readonly [from: Named, to: Named, reference: string];
  readonly others?: readonly (readonly [from: Named, to: Named, reference: string])[];
  readonly capabilities?: string;
  readonly pushOptions?: readonly string[];
  /**
   * The object that the pack leads to, and those that it leaves out; default a pack without
   * objects. `damaged` is such a pack with a wrong checksum.
   */
  readonly pack?: readonly [tip: Named, ...not: Named[]] | 'cut' | 'damaged' | 'none';
  readonly prepare?: (path: string) => void;
  readonly refuseVote?: string;
  /** Why git receives the push. */
  readonly byGit?: string;
  /** Many references in files, which are created at once without a cluster. */
  readonly isMany?: boolean;
  /**
   * Over SSH git has other words: it has read the references before its client began, or its client
   * gets what it prints for the operator.
   */
  readonly isOnlyHttp?: boolean;
  /** git has the whole conversation, from its advertisement on. */
  readonly isOfGitOverSsh?: boolean;
}

/** Why git receives a push to a name that no file can have; reftables have any name. */
export const TOO_LONG = 'the push cannot be prepared';
const MAIN = 'refs/heads/main';
const NEW = 'refs/heads/new';
const ATOMIC = 'report-status side-band-64k atomic';
const TALKS = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do echo some words of a hook $i; done';

/** Puts a file in the place of a directory of objects. */
const BLOCKED = 'rm -rf $GIT_DIR/objects/$i; touch $GIT_DIR/objects/$i';

const script = (hook: string, text: string) => (path: string) =>
  writeScript(join(path, 'custom_hooks', hook), text);

/** Returns changes that create branches. */
const branches = (count: number, to: Named = 'old'): (readonly [Named, Named, string])[] =>
  Array.from({ length: count }, (_, index) => ['none', to, `refs/heads/many/b${index}`]);

/** Pushes that create more references than git's files are good for. */
const MANY: readonly Omit<PushCase, 'isMany'>[] = [
  { what: 'many new branches', command: ['none', 'old', NEW], others: branches(40) },
  {
    what: 'many new branches and tags with objects',
    command: ['none', 'annotated', 'refs/tags/v1'],
    others: [
      ['none', 'annotated', 'refs/tags/again'],
      ['none', 'old', 'refs/tags/light'],
      ['none', 'old', 'refs/a/first'],
      ['none', 'blob', 'refs/tags/file'],
      ['none', 'child', 'refs/heads/loose-not'],
      ['none', 'old', 'refs/zz/last'],
      ...branches(20, 'child'),
    ],
    pack: ['annotated'],
  },
  {
    what: 'many with hooks',
    command: ['none', 'old', NEW],
    others: branches(16),
    prepare: (path) => {
      script('pre-receive', 'cat; git for-each-ref')(path);
      script('post-receive', 'cat; git for-each-ref')(path);
    },
  },
  {
    what: 'many that pre-receive refuses',
    command: ['none', 'child', NEW],
    others: branches(16),
    pack: ['child'],
    prepare: script('pre-receive', 'exit 1'),
  },
  {
    what: 'many of which one is above another',
    command: ['none', 'old', 'refs/heads/many'],
    others: branches(16),
    byGit: 'a reference would be the directory of another',
  },
  {
    what: 'many of which one is the folder of another',
    command: ['none', 'old', 'refs/heads/folder'],
    others: branches(16),
  },
  {
    what: 'many of which one appears meanwhile',
    command: ['none', 'old', NEW],
    others: branches(16),
    prepare: script('pre-receive', 'git update-ref refs/heads/many/b3 refs/heads/main'),
  },
  {
    what: 'many of which one appears meanwhile in packed-refs',
    command: ['none', 'old', NEW],
    others: branches(16),
    prepare: script('pre-receive', 'git update-ref refs/heads/many/b3 refs/heads/main; git pack-refs --all'),
  },
  {
    what: 'many below one that appears meanwhile',
    command: ['none', 'old', NEW],
    others: branches(16),
    prepare: script('pre-receive', 'git update-ref refs/heads/many refs/heads/main; git pack-refs --all'),
  },
  {
    what: 'many while packed-refs is locked',
    command: ['none', 'old', NEW],
    others: branches(16),
    prepare: script('pre-receive', 'touch $GIT_DIR/packed-refs.lock'),
  },
  {
    what: 'many while one is locked',
    command: ['none', 'old', NEW],
    others: branches(16),
    prepare: script('pre-receive', 'cd $GIT_DIR; mkdir -p refs/heads/many; touch refs/heads/many/b5.lock'),
  },
  {
    what: 'many without packed-refs',
    command: ['none', 'old', 'refs/heads/a'],
    others: branches(16),
    prepare: (path) => rmSync(join(path, 'packed-refs'), { force: true }),
  },
  {
    what: 'many with a hook that decides on each',
    command: ['none', 'old', NEW],
    others: branches(16),
    prepare: script('update', 'test $1 != refs/heads/many/b7'),
    byGit: 'a hook decides on each reference',
  },
  {
    what: 'many of which one is no commit',
    command: ['none', 'blob', NEW],
    others: branches(16),
    byGit: 'a branch would not be a commit',
  },
  {
    what: 'many of which one is missing',
    command: ['none', 'lost', NEW],
    others: branches(16),
    byGit: 'objects are missing',
  },
  {
    what: 'many of which one is hidden',
    command: ['none', 'old', 'refs/keep-around/y'],
    others: branches(16),
    byGit: 'the reference is hidden',
  },
  {
    what: 'many of which one exists',
    command: ['none', 'old', MAIN],
    others: branches(16),
    byGit: 'the reference has another value',
  },
];

export const PUSH_CASES: readonly PushCase[] = [
  ...MANY.map((each) => ({ ...each, isMany: true })),
  { what: 'a commit', command: ['main', 'child', MAIN], pack: ['child'] },
  {
    what: 'a commit onto a loose reference',
    command: ['main', 'child', 'refs/heads/loose'],
    pack: ['child'],
  },
  { what: 'a whole pack', command: ['main', 'child', MAIN], pack: ['child', 'none'] },
  { what: 'a new branch', command: ['none', 'child', NEW], pack: ['child'] },
  { what: 'a branch at an old commit', command: ['none', 'old', NEW] },
  { what: 'a branch in a new folder', command: ['none', 'old', 'refs/heads/a/b/c'] },
  { what: 'files at other paths', command: ['none', 'moved', NEW], pack: ['moved'] },
  { what: 'a merge', command: ['main', 'merge', MAIN], pack: ['merge'] },
  { what: 'a history of its own', command: ['none', 'orphan', NEW], pack: ['orphan'] },
  { what: 'another history', command: ['main', 'orphan', MAIN], pack: ['orphan'] },
  { what: 'an older commit', command: ['main', 'old', MAIN] },
  { what: 'a tag', command: ['none', 'annotated', 'refs/tags/v1'], pack: ['annotated'] },
  { what: 'a tag of a commit', command: ['none', 'main', 'refs/tags/light'] },
  { what: 'a warning', command: ['none', 'warned', 'refs/tags/warned'], pack: ['warned'] },
  {
    what: 'quietly',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    capabilities: 'report-status-v2 side-band-64k quiet agent=x session-id=y',
  },
  {
    what: 'atomically',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    capabilities: ATOMIC,
  },
  {
    what: 'without a report',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    capabilities: 'side-band-64k',
  },
  {
    what: 'with options',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    pushOptions: ['a=b', 'c\nd'],
    prepare: script('pre-receive', 'env | grep ^GIT_PUSH; cat'),
  },
  {
    what: 'a refusal by pre-receive',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: script('pre-receive', `${TALKS}; exit 1`),
  },
  {
    what: 'a refusal by update',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: script('update', `${TALKS}; echo "$@" $GIT_OBJECT_DIRECTORY; exit 1`),
  },
  {
    what: 'an atomic refusal by update',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    capabilities: ATOMIC,
    prepare: script('update', 'exit 1'),
  },
  {
    what: 'a failure of post-receive',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: script('post-receive', `${TALKS}; git rev-parse main; exit 1`),
  },
  {
    what: 'hooks that see the objects',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: script(
      'pre-receive',
      'read old new ref; git ls-tree -r $new; basename $GIT_OBJECT_DIRECTORY | cut -c1-20',
    ),
  },
  { what: 'a reference that is a folder', command: ['none', 'old', 'refs/heads/folder'] },
  {
    what: 'a reference that is a folder, atomically',
    command: ['none', 'old', 'refs/heads/folder'],
    capabilities: ATOMIC,
  },
  {
    what: 'a value that changes meanwhile',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: script('pre-receive', 'git update-ref refs/heads/main refs/heads/old'),
  },
  {
    what: 'a value that changes meanwhile, atomically',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    capabilities: ATOMIC,
    prepare: script('pre-receive', 'git update-ref refs/heads/main refs/heads/old'),
  },
  {
    what: 'a reference that vanishes meanwhile',
    command: ['main', 'child', 'refs/heads/loose'],
    pack: ['child'],
    prepare: script('pre-receive', 'git update-ref -d refs/heads/loose'),
  },
  {
    what: 'a reference that appears meanwhile',
    command: ['none', 'child', NEW],
    pack: ['child'],
    prepare: script('pre-receive', 'git update-ref refs/heads/new refs/heads/old'),
  },
  {
    what: 'a folder that appears meanwhile',
    isOnlyHttp: true,
    command: ['none', 'child', NEW],
    pack: ['child'],
    prepare: script('pre-receive', 'git update-ref refs/heads/new/x refs/heads/old'),
  },
  {
    what: 'a reference above that appears meanwhile',
    command: ['none', 'child', 'refs/heads/new/x'],
    pack: ['child'],
    prepare: script('pre-receive', 'git update-ref refs/heads/new refs/heads/old'),
  },
  {
    what: 'a lock that appears meanwhile',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: script(
      'pre-receive',
      'cd $GIT_DIR; touch refs/heads/main.lock; test ! -d reftable || touch reftable/tables.list.lock',
    ),
  },
  {
    what: 'a reference that breaks meanwhile',
    command: ['main', 'child', 'refs/heads/loose'],
    pack: ['child'],
    prepare: script('pre-receive', 'cd $GIT_DIR; test -d reftable || echo broken > refs/heads/loose'),
  },
  {
    what: 'objects that cannot be moved',
    isOnlyHttp: true,
    command: ['none', 'child', NEW],
    pack: ['child'],
    prepare: script('pre-receive', `cd $GIT_OBJECT_DIRECTORY; for i in ??; do ${BLOCKED}; done`),
  },
  {
    what: 'a name that is too long for a lock',
    command: ['none', 'child', `refs/heads/${'x'.repeat(252)}`],
    pack: ['child'],
  },
  { what: 'a lost vote', command: ['main', 'child', MAIN], pack: ['child'], refuseVote: 'PREPARED_PHASE' },
  {
    what: 'a lost vote of pre-receive',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    refuseVote: 'SYNCHRONIZED_PHASE',
  },
  {
    what: 'a vote lost at the end',
    command: ['none', 'child', NEW],
    pack: ['child'],
    refuseVote: 'COMMITTED_PHASE',
  },

  {
    what: 'nothing',
    command: ['none', 'none', 'refs/heads/nothing'],
    pack: 'none',
    byGit: 'the push is not a creation or an update',
  },
  {
    what: 'a deletion',
    command: ['main', 'none', 'refs/heads/loose'],
    pack: 'none',
    byGit: 'the push is not a creation or an update',
  },
  {
    what: 'two references',
    command: ['main', 'child', MAIN],
    others: [['none', 'child', NEW]],
    pack: ['child'],
    byGit: 'the push is not a change of one reference',
  },
  {
    what: 'no bands',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    capabilities: 'report-status',
    byGit: 'the client has other capabilities',
  },
  {
    what: 'an unknown capability',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    capabilities: 'report-status side-band-64k what',
    byGit: 'the client has other capabilities',
  },
  {
    what: 'a name that git refuses',
    command: ['none', 'old', 'refs/heads/a..b'],
    byGit: 'the push is not a change of one reference',
  },
  {
    what: 'a name without a folder',
    command: ['none', 'old', 'refs/name'],
    byGit: 'the push is not a change of one reference',
  },
  { what: 'HEAD', command: ['main', 'old', 'HEAD'], byGit: 'the push is not a change of one reference' },
  {
    what: 'a hidden reference',
    command: ['none', 'old', 'refs/keep-around/y'],
    byGit: 'the reference is hidden',
  },
  {
    what: 'a symbolic reference',
    command: ['main', 'child', 'refs/heads/symbolic'],
    pack: ['child'],
    byGit: 'the reference has another value',
  },
  {
    what: 'a stale value',
    command: ['old', 'child', MAIN],
    pack: ['child'],
    byGit: 'the reference has another value',
  },
  {
    what: 'a stale value of a missing reference',
    command: ['old', 'child', NEW],
    pack: ['child'],
    byGit: 'the reference has another value',
  },
  {
    what: 'a reference that exists',
    command: ['none', 'old', MAIN],
    byGit: 'the reference has another value',
  },
  {
    what: 'a reference below one',
    command: ['none', 'old', 'refs/heads/main/x'],
    byGit: 'a reference of a directory exists',
  },
  {
    what: 'a name that is too long for a file',
    command: ['none', 'old', `refs/heads/${'x'.repeat(300)}`],
    byGit: TOO_LONG,
  },
  {
    what: 'a name in a folder with a name that is too long',
    command: ['none', 'old', `refs/heads/${'x'.repeat(300)}/y`],
    byGit: TOO_LONG,
  },
  { what: 'no change', command: ['main', 'main', MAIN], byGit: 'the push is not a creation or an update' },
  { what: 'a file as a branch', command: ['none', 'blob', NEW], byGit: 'an object is unusual' },
  { what: 'a file as a tag', command: ['none', 'blob', 'refs/tags/blob'], byGit: 'an object is unusual' },
  {
    what: 'a tag as a branch',
    command: ['none', 'annotated', NEW],
    pack: ['annotated'],
    byGit: 'a branch would not be a commit',
  },
  {
    what: 'an object that git refuses',
    command: ['main', 'bad', MAIN],
    pack: ['bad'],
    byGit: 'git refuses the pack',
  },
  { what: 'a missing object', command: ['none', 'lost', NEW], byGit: 'an object is not found' },
  {
    what: 'a missing parent',
    command: ['main', 'merge', MAIN],
    pack: ['merge', 'child'],
    byGit: 'git refuses the pack',
  },
  {
    what: 'a commit of another branch',
    command: ['none', 'side', NEW],
    byGit: 'a commit may not be reachable',
  },
  { what: 'a large file', command: ['main', 'large', MAIN], pack: ['large'], byGit: 'the push is large' },
  {
    what: 'a damaged pack without objects',
    command: ['none', 'old', NEW],
    pack: 'damaged',
    byGit: 'git refuses the pack',
  },
  { what: 'half a pack', command: ['main', 'child', MAIN], pack: 'cut', byGit: 'git refuses the pack' },
  {
    what: 'a locked reference',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: (path) => writeFileSync(join(path, 'refs/heads/main.lock'), ''),
    byGit: 'the reference is locked',
  },
  {
    what: 'a shallow repository',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: (path) => writeFileSync(join(path, 'shallow'), ''),
    byGit: 'the repository is unusual',
    isOfGitOverSsh: true,
  },
  {
    what: 'a limit of objects',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: (path) => gitOutput(path, ['config', 'receive.unpackLimit', '1']),
    byGit: 'a setting may change the push',
  },
  {
    what: 'a repository that denies it',
    command: ['main', 'orphan', MAIN],
    pack: ['orphan'],
    prepare: (path) => gitOutput(path, ['config', 'receive.denyNonFastForwards', 'true']),
    byGit: 'a setting may change the push',
  },
  {
    what: 'a reference with a reflog',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: (path) => gitOutput(path, ['update-ref', '--create-reflog', '-m', 'first', MAIN, MAIN]),
    byGit: 'the reference has a reflog',
  },
  {
    what: 'a repository that keeps reflogs',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: (path) => gitOutput(path, ['config', 'core.logAllRefUpdates', 'true']),
    byGit: 'a setting may change the push',
  },
];
