import { commits } from './origin.ts';
import {
  ADVANCE,
  CLONE,
  COMMIT,
  client,
  others,
  type Step,
  server,
  type TransportCase,
  transportCase,
} from './steps.ts';

const clone = (options: string) => client(`clone -q ${options} URL .`);
const fetch = (options: string) => client(`fetch -q ${options}`);
const INIT = client('init -q');

/** More commits than a client names in one request. */
const MANY = client('fast-import --quiet', { input: commits('mine', 20, 320, true) });

/** Cuts the history of `main` on the server. */
const SHALLOW: Step = {
  at: 'server',
  args: ['-c', 'alias.cut=!git rev-parse main~3 >shallow', 'cut'],
};

export const FETCHES: readonly TransportCase[] = [
  transportCase('ls-remote', client('ls-remote URL')),
  transportCase('ls-remote --symref', client('ls-remote --symref URL')),
  transportCase('ls-remote of tags', client('ls-remote --tags URL v*')),
  transportCase('ls-remote of nothing', client('ls-remote --exit-code URL nothing')),

  transportCase('a clone', CLONE, client('status --porcelain')),
  transportCase('a mirror', clone('--mirror')),
  transportCase('a bare clone', clone('--bare')),
  transportCase('a clone of one branch', clone('--single-branch --branch=feature/x')),
  transportCase('a clone of a tag', clone('--branch=v1')),
  transportCase('a clone without tags', clone('--no-tags')),
  transportCase('a clone of a missing branch', clone('--branch=nothing')),
  transportCase('a clone of another root', clone('--single-branch --branch=unrelated')),
  transportCase('a detached HEAD', server('update-ref --no-deref HEAD {main~5}'), CLONE),
  transportCase('an unborn HEAD', server('symbolic-ref HEAD refs/heads/unborn'), CLONE),
  transportCase('an alias', server('symbolic-ref refs/heads/alias refs/heads/old'), clone('--mirror')),

  transportCase('hidden references', server('update-ref refs/keep-around/x old'), client('ls-remote URL')),
  transportCase('a namespace', client('ls-remote URL', { env: { GIT_NAMESPACE: 'x' } })),
  transportCase('dumb HTTP', client('clone -q URL .', { env: { GIT_SMART_HTTP: '0' } })),

  transportCase('depth 1', clone('--depth=1')),
  transportCase('depth 3 of all branches', clone('--depth=3 --no-single-branch')),
  transportCase('depth 2 of a tag', clone('--depth=2 --branch=v2')),
  transportCase('depth 2, bare', clone('--bare --depth=2')),
  transportCase('since', clone('--shallow-since=1600500000')),
  transportCase('since, all branches', clone('--shallow-since=1600700000 --no-single-branch')),
  transportCase('since the future', clone('--shallow-since=1700000000')),
  transportCase('excluding a tag', clone('--shallow-exclude=v1')),
  transportCase('excluding a branch', clone('--shallow-exclude=old --no-single-branch')),
  transportCase('excluding all', clone('--shallow-exclude=main')),
  transportCase('excluding nothing known', clone('--shallow-exclude=nothing')),
  transportCase('since and excluding', clone('--shallow-since=1600300000 --shallow-exclude=v2')),

  transportCase('deepen', clone('--depth=1'), fetch('--deepen=2'), fetch('--deepen=3')),
  transportCase('a larger depth', clone('--depth=1'), fetch('--depth=5')),
  transportCase('a smaller depth', clone('--depth=5'), fetch('--depth=2')),
  transportCase('unshallow', clone('--depth=2 --no-single-branch'), fetch('--unshallow')),
  transportCase('unshallow of a whole clone', CLONE, fetch('--unshallow')),
  transportCase('an earlier since', clone('--depth=1'), fetch('--shallow-since=1600400000')),
  transportCase('excluding later', clone('--depth=1'), fetch('--shallow-exclude=old')),
  transportCase('a shallow clone that follows', clone('--depth=1'), ADVANCE, fetch('origin')),
  transportCase('a shallow clone that follows by depth', clone('--depth=2'), ADVANCE, fetch('--depth=1')),
  transportCase('a whole clone that becomes shallow', CLONE, ADVANCE, fetch('--depth=1')),
  transportCase('an unshallow that brings more', clone('--depth=1'), ADVANCE, fetch('--unshallow')),
  transportCase('a shallow server', SHALLOW, CLONE, ADVANCE, fetch('origin')),
  transportCase('a shallow server of which less is read', SHALLOW, clone('--depth=2')),
  transportCase('update-shallow', clone('--depth=3'), ADVANCE, fetch('--update-shallow origin')),

  transportCase('without blobs', clone('--filter=blob:none --no-checkout')),
  transportCase('without large blobs', clone('--filter=blob:limit=1k --bare')),
  transportCase('without any blob that has a byte', clone('--filter=blob:limit=1 --bare')),
  transportCase('without trees', clone('--filter=tree:0 --no-checkout')),
  transportCase('with the first trees', clone('--filter=tree:2 --bare')),
  transportCase('commits alone', clone('--filter=object:type=commit --bare')),
  transportCase('tags alone', clone('--filter=object:type=tag --bare')),
  transportCase('two filters', clone('--filter=blob:limit=2k --filter=tree:2 --bare')),
  transportCase('a filter by a file', clone('--filter=sparse:oid=main:a.txt --bare')),
  transportCase('an unknown filter', clone('--filter=what:ever --bare')),
  transportCase('blobs on demand', clone('--filter=blob:none')),
  transportCase('trees on demand', clone('--filter=tree:0 --no-checkout'), client('checkout -q old')),
  transportCase('depth 1 without blobs', clone('--depth=1 --filter=blob:none --bare')),
  transportCase(
    'a partial clone that follows',
    clone('--filter=blob:none --bare --single-branch'),
    ADVANCE,
    fetch('origin main:main'),
  ),
  transportCase(
    'another filter later',
    clone('--filter=blob:none --bare'),
    fetch('--refetch --filter=blob:limit=1k'),
  ),
  transportCase('a refetch', CLONE, fetch('--refetch')),

  transportCase('an older commit', INIT, fetch('URL {main~3}')),
  transportCase('a blob by its id', INIT, fetch('URL {main:a.txt}')),
  transportCase('a tree by its id', INIT, fetch('URL {main~2^{tree}}')),
  transportCase('a tag by its id', INIT, fetch('URL {v1}')),
  transportCase('an older commit of depth 1', INIT, fetch('--depth=1 URL {main~3}')),
  transportCase('a missing object', INIT, fetch('URL {missing}')),
  transportCase('a missing reference', INIT, fetch('URL refs/heads/nothing')),
  transportCase('a pattern', INIT, fetch('URL refs/heads/feature/*:refs/x/*')),
  transportCase('a negative pattern', INIT, fetch('URL refs/heads/*:refs/x/* ^refs/heads/old')),
  transportCase('one tag', INIT, fetch('URL tag nested')),
  transportCase('all tags', INIT, fetch('--tags URL old')),
  transportCase('tags that follow', clone('--single-branch --branch=old --no-tags'), fetch('origin main')),

  transportCase('nothing new', CLONE, fetch('origin')),
  transportCase('new commits', CLONE, ADVANCE, fetch('origin')),
  transportCase('new commits beside own ones', CLONE, COMMIT, ADVANCE, fetch('origin')),
  ...['skipping', 'consecutive', 'noop'].map((algorithm) =>
    transportCase(
      `negotiation ${algorithm}`,
      CLONE,
      MANY,
      COMMIT,
      ADVANCE,
      client(`-c fetch.negotiationAlgorithm=${algorithm} fetch -q origin`),
    ),
  ),
  transportCase('negotiation with one tip', CLONE, MANY, ADVANCE, fetch('--negotiation-tip=mine origin')),
  transportCase(
    'negotiation alone',
    CLONE,
    COMMIT,
    client('fetch --negotiate-only --negotiation-tip=HEAD origin'),
  ),
  transportCase('another history', INIT, MANY, fetch('URL main:refs/heads/main')),
  transportCase('a pull', CLONE, ADVANCE, client('pull -q --ff-only')),

  transportCase(
    'a branch below one',
    INIT,
    fetch('URL old:refs/remotes/o/feature'),
    fetch('URL refs/heads/*:refs/remotes/o/*'),
  ),
  transportCase(
    'a branch below one that is pruned',
    CLONE,
    others(':refs/heads/feature/x'),
    others('{old}:refs/heads/feature'),
    fetch('origin'),
    fetch('--prune origin'),
  ),
  transportCase(
    'a forced change',
    CLONE,
    others('+{main~2}:refs/heads/main'),
    fetch('origin refs/heads/*:refs/remotes/origin/*'),
    fetch('origin'),
  ),
  transportCase(
    'an atomic fetch',
    CLONE,
    ADVANCE,
    others('{main~1}:refs/heads/old +{unrelated}:refs/heads/feature/x'),
    fetch('--atomic origin refs/heads/*:refs/remotes/origin/*'),
  ),
];
