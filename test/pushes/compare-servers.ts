import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { packetAt, sizeOfPacket } from '#base/pkt-line/packet';
import { evenPieces } from '#base/streams/even-pieces';
import { gitOutput, referenceBackends } from '#testkit/repositories/init-repository';
import { pushBody } from '#testkit/repositories/push';
import { startVotingServer, type VotingServer } from '#testkit/servers/voting-server';
import { isSoak } from '#testkit/soak';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { testSeed } from '#testkit/test-seed';
import { makePushFixture, type PushFixture } from './fixture.ts';
import { type PushCase, TOO_LONG } from './push-case.ts';

// Two servers get the same pushes: one receives plain ones in process, the other by git. `make
// test` tries each with one object format, and what both leave to git over one of HTTP and SSH; the
// seed chooses. The soak tries all.

const SEED = testSeed();
const OBJECT_FORMATS = ['sha1', 'sha256'] as const;
const FORMATS = referenceBackends().flatMap((referenceBackend) =>
  OBJECT_FORMATS.map((objectFormat) => ({ referenceBackend, objectFormat })),
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
  readonly reflog: string;
  readonly objects: string;
  readonly left: readonly string[];
}

/** Over HTTP, a large push is noticed only while git unpacks it. */
const MESSAGE_BYTES = 100_000;
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
  const { config: gitConfigOptions = [] } = pushed;
  const first = { repository, glId: 'user-1', glRepository: 'project-1', gitConfigOptions };
  const options = { metadata: isVoted ? cluster.metadata({ id }) : {} };
  const { smartHttp, ssh } = cluster.connection;
  const [output, errors]: [Buffer[], string[]] = [[], []];
  try {
    if (protocol === 'http') {
      const pieces = [body.subarray(0, 70), ...evenPieces([body.subarray(70)], MESSAGE_BYTES)];
      const requests = [first, ...pieces.map((data) => ({ data }))];
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
    reflog: reflogOf(path),
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

/** Returns the reflog of `main`: none without a file or a table that may have it. */
function reflogOf(path: string): string {
  if (!['logs', 'reftable'].some((name) => existsSync(join(path, name)))) return '';
  return gitOutput(path, ['reflog', 'show', '--format=%gD %gs %H', 'refs/heads/main']);
}

/** Lists everything but references and objects that a push may leave. */
function leftovers(path: string): string[] {
  const all = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return all.filter((name) => /\.lock$|tmp_|incoming|^logs/.test(name)).sort();
}

/** Returns why git receives a push. */
function reasonOf(
  { byGit, isMany = false }: PushCase,
  { isVoted }: Way,
  { referenceBackend }: (typeof FORMATS)[number],
): string | undefined {
  if (isMany && isVoted) return 'the nodes of a cluster vote on each reference';
  if (isMany && referenceBackend === 'reftable') return 'the references are in reftables';
  return byGit === TOO_LONG && referenceBackend === 'reftable' ? undefined : byGit;
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
      : pack === undefined || pack === 'damaged' || pack === 'short'
        ? (['old', 'old'] as const)
        : pack === 'none'
          ? (['old'] as const)
          : pack;
  const left = not.filter((name) => name !== 'none');
  const bytes =
    pack === 'none'
      ? Buffer.alloc(0)
      : not.includes('none')
        ? fixture.pack([tip], [])
        : fixture.pack([tip], left.length === 0 ? undefined : left);
  if (pack === 'damaged') bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  return pushBody(lines, {
    capabilities: words,
    ...(pushOptions && { pushOptions }),
    pack: pack === 'cut' ? bytes.subarray(0, -30) : pack === 'short' ? bytes.subarray(0, -5) : bytes,
  });
}

/** Plays pushes to both servers, in all formats, and compares what they do. */
export function compareServers(cases: readonly PushCase[]): void {
  let [ours, git]: Server[] = [];
  before(async () => {
    [ours, git] = [await startServer(true), await startServer(false)];
  });
  after(async () => {
    for (const server of [ours, git]) {
      await server?.cluster[Symbol.asyncDispose]();
      await server?.gitaly[Symbol.asyncDispose]();
    }
  });

  for (const format of FORMATS) {
    const name = `${format.referenceBackend}-${format.objectFormat}`;
    suite(`pushes to a repository of ${format.referenceBackend} and ${format.objectFormat}`, () => {
      let fixture: PushFixture;
      let made: string;
      before(() => {
        assert.ok(ours !== undefined);
        const { directory } = ours.gitaly;
        made = join(directory, `made-${name}.git`);
        fixture = makePushFixture(made, join(directory, `all-${name}.git`), format);
      });

      for (const [index, pushed] of cases.entries()) {
        const chosen = OBJECT_FORMATS[(index + SEED) % OBJECT_FORMATS.length];
        if (!isSoak && format.objectFormat !== chosen) continue;
        if (pushed.isOnlyFiles === true && format.referenceBackend !== 'files') continue;
        const how = pushed.byGit === undefined ? 'is received as git receives it' : 'is left to git';
        test(`${pushed.what}: ${how}`, async () => {
          assert.ok(ours !== undefined && git !== undefined);
          await comparePushes([ours, git], pushed, { fixture, format, made, index });
        });
      }
    });
  }
}

interface Setting {
  readonly fixture: PushFixture;
  readonly format: (typeof FORMATS)[number];
  /** Path of the repository that is copied for each push. */
  readonly made: string;
  /** Number of the case. */
  readonly index: number;
}

/** Returns how a push is tried. */
function waysOf(pushed: PushCase, { format, index }: Setting): readonly Way[] {
  const ways: readonly Way[] = [
    { protocol: 'http', isVoted: pushed.refuseVote !== undefined },
    { protocol: 'ssh', isVoted: true },
  ];
  if (pushed.isOnlyHttp === true) return ways.slice(0, 1);
  const isByGit = (way: Way): boolean => reasonOf(pushed, way, format) !== undefined;
  return ways.filter((way, at) => isSoak || !isByGit(way) || (index + at + (SEED >> 1)) % ways.length === 0);
}

async function comparePushes(
  [ours, git]: readonly [Server, Server],
  pushed: PushCase,
  setting: Setting,
): Promise<void> {
  const { fixture, format, made } = setting;
  const body = bodyOf(pushed, fixture);
  const ways = waysOf(pushed, setting);
  assert.ok(ways.length > 0);
  for (const way of ways) {
    const here = await push(ours, pushed, { ...way, made, body });
    const there = await push(git, pushed, { ...way, made, body });

    assert.deepEqual(here.result, there.result, way.protocol);
    const isOfGit = pushed.isOfGitOverSsh === true && way.protocol === 'ssh';
    const leftToGit = reasonOf(pushed, way, format);
    const reason = leftToGit === undefined || isOfGit ? /^$/ : new RegExp(`push(_refs)?: ${leftToGit}`);
    assert.match(here.reasons, reason, way.protocol);
  }
}
