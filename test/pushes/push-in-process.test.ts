import assert from 'node:assert/strict';
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { packetAt, sizeOfPacket } from '#base/pkt-line/packet';
import { writeScript } from '#testkit/operation-fixture';
import { gitOutput, referenceBackends } from '#testkit/repositories/init-repository';
import { pushBody } from '#testkit/repositories/push';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { startVotingServer, type VotingServer } from '#testkit/voting-server';
import { makePushFixture, type Named, type PushFixture } from './fixture.ts';

// Two servers get the same pushes: one receives plain ones in process, the other by git.

interface PushCase {
  readonly what: string;
  readonly command: readonly [from: Named, to: Named, reference: string];
  readonly others?: readonly (readonly [from: Named, to: Named, reference: string])[];
  readonly capabilities?: string;
  readonly pushOptions?: readonly string[];
  /** The object that the pack leads to, and those that it leaves out; default none. */
  readonly pack?: readonly [tip: Named, ...not: Named[]] | 'cut' | 'none';
  readonly prepare?: (path: string) => void;
  readonly refuseVote?: string;
  /** Why git receives the push. */
  readonly byGit?: string;
  /** Over SSH git has read the references before its client began, and has other words. */
  readonly isOnlyHttp?: boolean;
  /** git has the whole conversation, from its advertisement on. */
  readonly isOfGitOverSsh?: boolean;
}

const MAIN = 'refs/heads/main';
const NEW = 'refs/heads/new';
const ATOMIC = 'report-status side-band-64k atomic';
const TALKS = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do echo some words of a hook $i; done';

const script = (hook: string, text: string) => (path: string) =>
  writeScript(join(path, 'custom_hooks', hook), text);

const CASES: readonly PushCase[] = [
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
      'read old new ref; git ls-tree -r $new; case $GIT_OBJECT_DIRECTORY in */objects/tmp_objdir-incoming-??????) ;; *) echo $GIT_OBJECT_DIRECTORY;; esac',
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
      'touch $GIT_DIR/refs/heads/main.lock; test ! -d $GIT_DIR/reftable || touch $GIT_DIR/reftable/tables.list.lock',
    ),
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
    what: 'a repository with a reflog',
    command: ['main', 'child', MAIN],
    pack: ['child'],
    prepare: (path) => gitOutput(path, ['config', 'core.logAllRefUpdates', 'true']),
    byGit: 'a setting may change the push',
  },
];

const FORMATS = referenceBackends().flatMap((referenceBackend) =>
  (['sha1', 'sha256'] as const).map((objectFormat) => ({ referenceBackend, objectFormat })),
);

interface Server {
  readonly gitaly: TestGitaly;
  readonly cluster: VotingServer;
}

async function startServer(inProcess: boolean): Promise<Server> {
  const gitaly = await startGitaly({ config: { git: { in_process: inProcess } } });
  return { gitaly, cluster: await startVotingServer(gitaly.address) };
}

interface Pushed {
  readonly output: string;
  readonly error: string;
  readonly votes: readonly string[];
  readonly isStopped: boolean;
  readonly references: string;
  readonly objects: string;
  readonly left: readonly string[];
}

let lastId = 0;

interface Way {
  readonly protocol: 'http' | 'ssh';
  readonly isVoted: boolean;
}

async function push(
  { gitaly, cluster }: Server,
  pushed: PushCase,
  { made, body, protocol, isVoted }: Way & { made: string; body: Buffer },
): Promise<{ readonly result: Pushed; readonly reasons: string }> {
  const id = ++lastId;
  const relativePath = `${id}.git`;
  const path = join(gitaly.storagePath(), relativePath);
  cpSync(made, path, { recursive: true });
  pushed.prepare?.(path);
  cluster.decide = ({ phase }) => (phase === pushed.refuseVote ? 'ABORT' : 'COMMIT');
  const repository = { storageName: 'default', relativePath, glRepository: 'project-1' };
  const first = { repository, glId: 'user-1', glRepository: 'project-1' };
  const options = { metadata: isVoted ? cluster.metadata({ id }) : {} };
  const { smartHttp, ssh } = cluster.connection;
  const [output, errors]: [Buffer[], string[]] = [[], []];
  try {
    if (protocol === 'http') {
      const requests = [first, { data: body.subarray(0, 70) }, { data: body.subarray(70) }];
      for await (const { data } of smartHttp.postReceivePack(requests, options))
        output.push(Buffer.from(data));
    } else {
      for await (const message of ssh.sshReceivePack([first, { stdin: body }], options)) {
        output.push(Buffer.from(message.stdout));
        errors.push(Buffer.from(message.stderr).toString());
        if (message.exitStatus !== undefined) errors.push(`exit ${message.exitStatus.value}\n`);
      }
    }
  } catch (error) {
    errors.push(String(error));
  }
  const line = gitaly.log.findLast((each) => String(each['grpc.method']).endsWith('ReceivePack')) ?? {};
  const reasons = String(line['in_process.reasons'] ?? '');
  const withoutPath = (text: string): string =>
    text.replaceAll(path, 'PATH').replaceAll(`/${relativePath}`, '');
  const result = {
    output: withoutPath(joinedMessages(Buffer.concat(output))),
    error: withoutPath(errors.join('')),
    votes: cluster.votes
      .filter((vote) => vote.transactionId === BigInt(id))
      .map(({ hash, phase }) => `${phase} ${hash}`),
    isStopped: cluster.stopped.includes(BigInt(id)),
    references: gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname) %(symref)']),
    objects: gitOutput(path, ['cat-file', '--batch-all-objects', '--batch-check', '--unordered'])
      .split('\n')
      .sort()
      .join('\n'),
    left: leftovers(path),
  };
  return { result, reasons };
}

/** Joins packets of messages that follow each other: git reads pieces of any size from its pipes. */
function joinedMessages(output: Buffer): string {
  const text: string[] = [];
  for (let at = 0; at < output.length; ) {
    const next = packetAt(output, at);
    if (next === 'incomplete' || next === 'invalid') throw new Error(`no packet at ${at}: ${output}`);
    at += sizeOfPacket(next);
    const isMessage = typeof next !== 'string' && next[0] === 2;
    const payload = typeof next === 'string' ? next : next.toString('latin1');
    if (isMessage && text.at(-1)?.startsWith('\x02') === true) text.push(`${text.pop()}${payload.slice(1)}`);
    else text.push(payload);
  }
  return text.join('|');
}

/** Lists everything but references and objects that a push may leave. */
function leftovers(path: string): string[] {
  const all = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return all.filter((name) => /\.lock$|tmp_|incoming|^logs/.test(name)).sort();
}

function bodyOf(
  { command, others = [], capabilities, pushOptions, pack }: PushCase,
  fixture: PushFixture,
): Buffer {
  const lines = [command, ...others].map(
    ([from, to, name]) => `${fixture.ids[from]} ${fixture.ids[to]} ${name}`,
  );
  const isSha256 = fixture.ids.none.length > 40;
  const words = `${capabilities ?? 'report-status side-band-64k'}${isSha256 ? ' object-format=sha256' : ''}`;
  const [tip, ...not] =
    pack === 'cut'
      ? (['child'] as const)
      : pack === undefined
        ? (['old', 'old'] as const)
        : pack === 'none'
          ? (['old'] as const)
          : pack;
  const left = not.filter((name) => name !== 'none');
  const bytes =
    pack === 'none'
      ? Buffer.alloc(0)
      : not.includes('none')
        ? fixture.pack(tip, [])
        : fixture.pack(tip, left.length === 0 ? undefined : left);
  return pushBody(lines, {
    capabilities: words,
    ...(pushOptions && { pushOptions }),
    pack: pack === 'cut' ? bytes.subarray(0, -30) : bytes,
  });
}

for (const format of FORMATS) {
  suite(`pushes to a repository of ${format.referenceBackend} and ${format.objectFormat}`, () => {
    let [ours, git]: Server[] = [];
    let fixture: PushFixture;
    let made: string;
    before(async () => {
      [ours, git] = [await startServer(true), await startServer(false)];
      made = join(ours.gitaly.directory, 'made.git');
      fixture = makePushFixture(made, join(ours.gitaly.directory, 'all.git'), format);
    });
    after(async () => {
      for (const server of [ours, git]) {
        await server?.cluster[Symbol.asyncDispose]();
        await server?.gitaly[Symbol.asyncDispose]();
      }
    });

    for (const pushed of CASES) {
      if (pushed.byGit === 'the reference is locked' && format.referenceBackend !== 'files') continue;
      test(`${pushed.what}: ${pushed.byGit === undefined ? 'is received as git receives it' : 'is left to git'}`, async () => {
        assert.ok(ours !== undefined && git !== undefined);
        const body = bodyOf(pushed, fixture);
        const isAlwaysVoted = pushed.refuseVote !== undefined;
        for (const way of [
          { protocol: 'http', isVoted: isAlwaysVoted },
          { protocol: 'ssh', isVoted: true },
        ] as const) {
          if (way.protocol === 'ssh' && pushed.isOnlyHttp === true) continue;
          const here = await push(ours, pushed, { ...way, made, body });
          const there = await push(git, pushed, { ...way, made, body });

          assert.deepEqual(here.result, there.result, way.protocol);
          const isOfGit = pushed.isOfGitOverSsh === true && way.protocol === 'ssh';
          const reason = pushed.byGit === undefined || isOfGit ? /^$/ : new RegExp(`push: ${pushed.byGit}`);
          assert.match(here.reasons, reason, way.protocol);
        }
      });
    }
  });
}
