import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { compareServers } from './compare-servers.ts';
import type { Named } from './fixture.ts';
import { MAIN, NEW, type PushCase, script } from './push-case.ts';

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

compareServers(MANY.map((each) => ({ ...each, isMany: true })));
