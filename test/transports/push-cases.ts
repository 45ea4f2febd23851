import { commits, data } from './origin.ts';
import {
  ADVANCE,
  CLONE,
  COMMIT,
  client,
  others,
  server,
  type TransportCase,
  transportCase,
} from './steps.ts';

const push = (options: string) => client(`push --porcelain ${options}`);

/** A case whose client has cloned, and has a commit on `main`. */
function pushCase(name: string, ...steps: Parameters<typeof transportCase>[1][]): TransportCase {
  return transportCase(name, CLONE, COMMIT, ...steps);
}

const BACK = client('reset -q --hard {main~2}');
/** A submodule with a URL that is an option, which fsck refuses. */
const MODULES = '[submodule "a"]\n\tpath = a\n\turl = --upload-pack=x\n';
const BAD = `${commits('bad', 30, 30, true)}M 100644 inline .gitmodules\n${data(MODULES)}`;
const BAD_PUSH = [client('fast-import --quiet', { input: BAD }), push('origin bad')];

export const PUSHES: readonly TransportCase[] = [
  pushCase('a push', push('origin main')),
  pushCase('a push of nothing', push('origin {old}:refs/heads/old')),
  pushCase('a new branch and a tag', client('tag new'), push('origin main:fresh tag new')),
  pushCase('an annotated tag', client('tag -a -m new new'), push('origin new')),
  pushCase('pushed tags that follow', client('tag -a -m new new'), push('--follow-tags origin main')),
  pushCase('all branches', client('branch second'), push('--all origin')),
  pushCase('a push of all tags', client('tag new {old}'), push('--tags origin')),
  pushCase('a mirror of a clone', push('--mirror origin')),
  pushCase('a push that prunes', push('--prune origin refs/heads/*')),
  pushCase('a dry run', push('--dry-run origin main')),
  pushCase('a push without deltas', push('--no-thin origin main:fresh')),
  pushCase('a detached commit', push('origin HEAD~1:refs/heads/fresh')),
  pushCase('a commit by its id', push('origin {main~1}:refs/heads/fresh')),
  pushCase('a file as a tag', push('origin {main:a.txt}:refs/tags/file')),
  pushCase('a file as a branch', push('origin {main:a.txt}:refs/heads/file')),
  pushCase('a reference elsewhere', push('origin main:refs/x/y')),
  pushCase('HEAD as the name', push('origin main:HEAD')),
  pushCase('a name that git refuses', push('origin main:refs/heads/a..b')),
  pushCase(
    'many commits',
    client('fast-import --quiet', { input: commits('mine', 20, 170, true) }),
    push('origin mine'),
  ),
  transportCase('a first push', server('update-ref -d HEAD'), CLONE, push('origin {old}:refs/heads/main')),

  pushCase('a change that is no fast-forward', BACK, push('origin main')),
  pushCase('a forced push', BACK, push('--force origin main')),
  pushCase('a forced change by +', BACK, push('origin +main +main:old')),
  pushCase('a stale client', ADVANCE, push('origin main')),
  pushCase('a stale client that forces', ADVANCE, push('--force origin main')),
  pushCase('a tag that exists', client('tag -f light'), push('origin light'), push('--force origin light')),

  pushCase('a deletion', push('origin :old')),
  pushCase('a deletion by its option', push('--delete origin old v1')),
  pushCase('a deletion of nothing', push('origin :nothing')),
  pushCase('a deletion of nothing by its name', push('origin :refs/heads/nothing')),
  pushCase('a deletion of the default branch', push('origin :main')),
  pushCase('a deletion and a push', push('origin :old main')),

  pushCase('an atomic push', push('--atomic origin main main:fresh')),
  pushCase('an atomic push that the client refuses', BACK, push('--atomic origin main main:fresh')),
  pushCase('an atomic push that the server refuses', push('--atomic origin main main:refs/heads/feature')),
  pushCase('a push that the server refuses in part', push('origin main main:refs/heads/feature')),
  pushCase('an atomic deletion', push('--atomic origin :old main')),

  pushCase('a branch above one', push('origin main:refs/heads/feature')),
  pushCase('a new branch below one', push('origin main:refs/heads/old/x')),
  pushCase('a branch in place of a folder', push('origin :refs/heads/feature/x main:refs/heads/feature')),
  pushCase(
    'a branch in place of a folder, later',
    push('origin :refs/heads/feature/x'),
    push('origin main:refs/heads/feature'),
  ),
  pushCase('two branches that exclude each other', push('origin main:refs/heads/z main:refs/heads/z/z')),

  pushCase('a lease', BACK, push('--force-with-lease origin main')),
  pushCase('a stale lease', ADVANCE, push('--force-with-lease origin main')),
  pushCase('a lease of a value', BACK, push('--force-with-lease=main:{main} origin main')),
  pushCase('a lease of another value', BACK, push('--force-with-lease=main:{main~1} origin main')),
  pushCase('a lease of a new branch', push('--force-with-lease=fresh: origin main:fresh')),
  pushCase('a lease of a branch that exists', push('--force-with-lease=old: origin main:old')),
  pushCase(
    'a lease of what is included',
    ADVANCE,
    push('--force-with-lease --force-if-includes origin main'),
  ),
  pushCase('an atomic lease', ADVANCE, push('--atomic --force-with-lease origin main main:fresh')),

  pushCase('push options', push('-o ci.skip -o a=b origin main')),
  pushCase('a push option with a line feed', {
    at: 'client',
    args: ['push', '--porcelain', '-o', 'a\nb', 'origin', 'main'],
  }),
  pushCase('a certificate if it is asked for', push('--signed=if-asked origin main')),
  pushCase('a certificate', push('--signed origin main')),

  transportCase('a push of a shallow clone', client('clone -q --depth=2 URL .'), COMMIT, push('origin main')),
  transportCase(
    'a push of a shallow clone to a new branch',
    client('clone -q --depth=1 URL .'),
    COMMIT,
    push('origin main:fresh'),
  ),
  transportCase(
    'a push of a partial clone',
    client('clone -q --filter=blob:none URL .'),
    COMMIT,
    push('origin main'),
  ),
  transportCase(
    'a push of a shallow history',
    client('clone -q --depth=1 URL .'),
    others(':refs/heads/feature/x'),
    push('origin main:a main:b'),
  ),

  pushCase('an object that fsck refuses', ...BAD_PUSH),
  pushCase(
    'a repository that denies other changes',
    server('config receive.denyNonFastForwards true'),
    BACK,
    push('--force origin main'),
  ),
  pushCase(
    'a repository that denies deletions',
    server('config receive.denyDeletes true'),
    push('origin :old main'),
  ),
  pushCase(
    'a push to an alias',
    server('symbolic-ref refs/heads/alias refs/heads/old'),
    push('--force origin main:alias'),
  ),
  pushCase(
    'an alias and its target',
    server('symbolic-ref refs/heads/alias refs/heads/old'),
    push('--force origin main:alias main:old'),
  ),
];
