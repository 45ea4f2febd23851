import { compareServers } from './compare-servers.ts';
import { ATOMIC, MAIN, NEW, type PushCase, script, TALKS } from './push-case.ts';

/** Puts a file in the place of a directory of objects. */
const BLOCKED = 'rm -rf $GIT_DIR/objects/$i; touch $GIT_DIR/objects/$i';

/** Pushes whose hooks refuse them, or whose references change after they were prepared. */
const REFUSED: readonly PushCase[] = [
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
];

compareServers(REFUSED);
