import { compareServers } from './compare-servers.ts';
import { ATOMIC, MAIN, NEW, type PushCase, script } from './push-case.ts';

const PLAIN: readonly PushCase[] = [
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
];

compareServers(PLAIN);
