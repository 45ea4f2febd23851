import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gitOutput } from '#testkit/repositories/init-repository';
import { compareServers } from './compare-servers.ts';
import { MAIN, NEW, type PushCase, TOO_LONG } from './push-case.ts';

/** Pushes that are not certain to be plain. */
const LEFT_TO_GIT: readonly PushCase[] = [
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
  {
    what: 'half a pack without objects',
    command: ['none', 'old', NEW],
    pack: 'short',
    byGit: 'git refuses the pack',
  },
  { what: 'half a pack', command: ['main', 'child', MAIN], pack: 'cut', byGit: 'git refuses the pack' },
  {
    what: 'a locked reference',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: (path) => writeFileSync(join(path, 'refs/heads/main.lock'), ''),
    byGit: 'the reference is locked',
    isOnlyFiles: true,
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
    what: 'a repository with a work tree elsewhere',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: (path) => mkdirSync(join(path, 'worktrees')),
    byGit: 'the repository is unusual',
  },
  {
    what: 'a repository with grafts',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: (path) => {
      mkdirSync(join(path, 'info'), { recursive: true });
      writeFileSync(join(path, 'info/grafts'), '');
    },
    byGit: 'the repository is unusual',
  },
  {
    what: 'a reference with a reflog',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: (path) => gitOutput(path, ['update-ref', '--create-reflog', '-m', 'first', MAIN, MAIN]),
    byGit: 'the reference has a reflog',
  },
];

compareServers(LEFT_TO_GIT);
