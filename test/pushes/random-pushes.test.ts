import assert from 'node:assert/strict';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packetAt, sizeOfPacket } from '#base/pkt-line/packet';
import { configOf } from '#git/command/config';
import { gitOutput, referenceBackends } from '#testkit/repositories/init-repository';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { runBytes } from '#testkit/run-program';
import { seededShare } from '#testkit/seeded-share';
import { repetitions } from '#testkit/soak';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { testSeed } from '#testkit/test-seed';
import { makePushFixture, type PushFixture } from './fixture.ts';
import { plainPush, type RandomPush, randomPush } from './random-pushes.ts';

// A server that receives pushes in process, one that starts git for them, and git itself with the
// same settings get the same random pushes, and must return and leave the same.

/** Pushes to a repository of each format. `make test` tries one object format, the soak both. */
const PUSHES = repetitions('PUSHES', { short: 25, long: 350 });
/** Every fifth has nothing odd: few of the others are received in process. */
const isPlain = (number: number): boolean => number % 5 === 0;
const SEED = testSeed('PUSH_SEED');
const FORMATS = referenceBackends().flatMap((referenceBackend) =>
  seededShare(['sha1', 'sha256'] as const, 1 / 2).map((objectFormat) => ({ referenceBackend, objectFormat })),
);
/** The server's settings of git. */
const SETTINGS = configOf({
  command: 'receive-pack',
  objectFormat: undefined,
  packReuseMulti: false,
  call: [],
  operator: [],
}).flatMap(({ key, value }) => ['-c', `${key}=${value}`]);

let ours: TestGitaly;
let git: TestGitaly;
before(async () => {
  ours = await startGitaly();
  git = await startGitaly({ config: { git: { in_process: false } } });
});
after(async () => {
  for (const server of [ours, git]) await server[Symbol.asyncDispose]();
});

for (const format of FORMATS) {
  const name = `${format.referenceBackend}-${format.objectFormat}`;
  test(`random pushes to ${name} have the results of git (PUSH_SEED=${SEED})`, async (context) => {
    const made = join(ours.directory, `made-${name}.git`);
    const fixture = makePushFixture(made, join(ours.directory, `all-${name}.git`), format);
    gitOutput(made, ['symbolic-ref', 'refs/heads/dangling', 'refs/heads/not-there']);
    let inProcess = 0;
    for (const sent of pushes(made, fixture)) {
      const [here, there, expected] = await Promise.all([
        pushTo(ours, sent),
        pushTo(git, sent),
        pushWithGit(join(ours.directory, sent.id), sent),
      ]);

      if (lastIsInProcess(ours)) inProcess++;
      assert.deepEqual(there, expected, `git and a server with git: ${sent.what}`);
      assert.deepEqual(here, expected, `git and a server in process: ${sent.what}`);
    }
    context.diagnostic(`${inProcess} of ${PUSHES} in process`);
    assert.ok(inProcess >= PUSHES / 5, 'all plain ones are received in process');
  });
}

interface Sent extends RandomPush {
  /** Of the repository. */
  readonly id: string;
  readonly protocol: 'http' | 'ssh';
  /** The repository to push to a copy of. */
  readonly made: string;
}

function* pushes(made: string, fixture: PushFixture): Generator<Sent> {
  const random: Random = seededRandom(SEED);
  const lines = gitOutput(made, ['for-each-ref', '--format=%(refname) %(objectname)']).split('\n');
  const values = new Map(lines.map((line) => [line.split(' ')[0] ?? '', line.split(' ')[1] ?? '']));
  for (let number = 0; number < PUSHES; number++) {
    const push = (isPlain(number) ? plainPush : randomPush)(random, fixture, values);
    const protocol = random() < 0.6 ? 'http' : 'ssh';
    yield { ...push, what: `${number} ${protocol} ${push.what}`, id: `${number}.git`, protocol, made };
  }
}

/** The results of a push that all must agree on. */
interface Result {
  /** Packets without those of the second band, in Latin-1. */
  readonly report: readonly string[];
  /** The second band. */
  readonly messages: string;
  readonly succeeds: boolean;
  readonly references: string;
  readonly objects: string;
  readonly fsck: string;
  /** Files that a push may leave. */
  readonly left: readonly string[];
}

async function pushTo(gitaly: TestGitaly, sent: Sent): Promise<Result> {
  const { body, cut, id, protocol } = sent;
  const path = join(gitaly.storagePath(), id);
  prepare(path, sent);
  const repository = { storageName: 'default', relativePath: id, glRepository: 'project-1' };
  const first = { repository, glId: 'user-1', glRepository: 'project-1' };
  const { smartHttp, ssh } = gitaly.connection;
  const pieces = [body.subarray(0, cut), body.subarray(cut)];
  const output: Uint8Array[] = [];
  let succeeds = true;
  try {
    if (protocol === 'http') {
      const requests = [first, ...pieces.map((data) => ({ data }))];
      for await (const { data } of smartHttp.postReceivePack(requests)) output.push(data);
    } else {
      const requests = [first, ...pieces.map((stdin) => ({ stdin }))];
      for await (const { exitStatus, stdout } of ssh.sshReceivePack(requests)) {
        output.push(stdout);
        if (exitStatus !== undefined) succeeds = exitStatus.value === 0;
      }
    }
  } catch {
    succeeds = false;
  }
  return resultOf(path, Buffer.concat(output), succeeds);
}

async function pushWithGit(path: string, sent: Sent): Promise<Result> {
  prepare(path, sent);
  const options = sent.protocol === 'http' ? ['--stateless-rpc'] : [];
  const args = [...SETTINGS, 'receive-pack', ...options, path];
  const { code, stdout } = await runBytes('git', args, { env: GIT_ENVIRONMENT, input: sent.body });
  return resultOf(path, stdout, code === 0);
}

function prepare(path: string, { made, settings }: Sent): void {
  cpSync(made, path, { recursive: true });
  for (const [key, value] of settings) gitOutput(path, ['config', key, value]);
}

function resultOf(path: string, output: Buffer, succeeds: boolean): Result {
  const packets = packetsOf(output);
  const messages = Buffer.concat(packets.filter(isMessage).map((packet) => packet.subarray(1)));
  const counts = gitOutput(path, ['count-objects', '-v']).split('\n');
  const result = {
    report: packets.filter((packet) => !isMessage(packet)).map((packet) => packet.toString('latin1')),
    messages: messages.toString('latin1').replaceAll(path, ''),
    succeeds,
    references: gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname) %(symref)']),
    objects: counts.filter((line) => !line.startsWith('size')).join(', '),
    fsck: fsck(path),
    left: readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.lock$|tmp_|incoming|\.keep$|^logs\//.test(name),
    ),
  };
  rmSync(path, { recursive: true });
  return result;
}

function fsck(path: string): string {
  try {
    return gitOutput(path, ['fsck', '--no-dangling', '--no-progress']);
  } catch (error) {
    return String(error).replaceAll(path, '');
  }
}

/** Returns the packets; the rest of what is none is the last. */
function packetsOf(output: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = 0; at < output.length; ) {
    const next = packetAt(output, at);
    if (next === 'incomplete' || next === 'invalid') return [...packets, output.subarray(at)];
    at += sizeOfPacket(next);
    if (typeof next !== 'string') packets.push(next);
  }
  return packets;
}

const isMessage = (packet: Buffer): boolean => packet[0] === 2;

function lastIsInProcess({ log }: TestGitaly): boolean {
  const line = log.findLast((each) => String(each['grpc.method']).endsWith('ReceivePack'));
  return line !== undefined && String(line['in_process.reasons'] ?? '') === '';
}
