import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { dialSidechannel, SidechannelRegistry, uploadPack, uploadPackWithSidechannel } from '#client/index';
import { createSmallRepository, REPOSITORY } from '#testkit/clients/operation-fixture';
import { gitOverSsh, makeSshKey, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { startGateway } from '#testkit/clients/ssh-gateway-fixture';
import { FLUSH, packet, packets } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

/** Settings that mean nothing, but that only git knows to mean nothing. */
const ASK_GIT = { gitConfigOptions: ['core.unknown=1'] };

const HEAD = `${packet('agent=git/2.45.0')}${packet('object-format=sha1')}0001`;
const lsRefs = (...words: string[]): string =>
  `${packet('command=ls-refs\n')}${HEAD}${words.map((word) => packet(`${word}\n`)).join('')}${FLUSH}`;
const LS_REFS = lsRefs('peel', 'symrefs', 'ref-prefix HEAD', 'ref-prefix refs/');
const fetchOf = (oid: string): string =>
  packet('command=fetch') +
  HEAD +
  [packet('no-progress'), packet(`want ${oid}\n`), packet('done\n'), FLUSH].join('');
/** Returns a request of a client that has objects. */
const negotiationOf = (oid: string, ...more: string[]): string =>
  packet('command=fetch') +
  HEAD +
  ['no-progress', `want ${oid}\n`, `have ${oid}\n`, ...more].map(packet).join('') +
  FLUSH;

async function createRepository(gitaly: TestGitaly): Promise<string> {
  const { path, oid } = createSmallRepository(gitaly);
  await runGit(['-C', path, 'tag', '-a', '-m', 'tag', 'v1', oid]);
  return oid;
}

type Call = 'sidechannel' | 'stream';

/** Talks with the server in chunks, and returns all that came back, with the end of the call. */
async function talkTo(gitaly: TestGitaly) {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(gitaly.address, registry);
  const talk = async (call: Call, input: AsyncIterable<Uint8Array> | string[], request: object = {}) => {
    const [stdout, stderr] = [collector(), collector()];
    const stdin = Array.isArray(input) ? Readable.from(input.map((chunk) => Buffer.from(chunk))) : input;
    const io = { stdin, stdout: stdout.stream, stderr: stderr.stream };
    const message = { repository: REPOSITORY, gitProtocol: 'version=2', ...request };
    const run =
      call === 'stream'
        ? uploadPack(connection, io, message)
        : uploadPackWithSidechannel(connection, registry, io, message);
    const outcome = await run.catch((error: Error) => error.message);
    return { stdout: withPackInOnePiece(stdout.text()), stderr: stderr.text(), outcome };
  };
  return { talk, [Symbol.asyncDispose]: () => connection.close() };
}

/** Joins the packets of packs by their bands: their division and order depend on time. */
function withPackInOnePiece(text: string): string {
  const at = text.indexOf('PACK') - 5;
  if (at < 0) return text;
  const pieces = packets(Buffer.from(text.slice(at), 'latin1')).map((piece) => piece.toString('latin1'));
  const bands = Map.groupBy(pieces, (piece) => Math.min(piece.charCodeAt(0), 4)); // 4: no band
  const joined = [...bands].sort(([a], [b]) => a - b).map(([, band]) => band.map((piece) => piece.slice(1)));
  return text.slice(0, at) + joined.flat().join('');
}

function collector() {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('latin1') };
}

function commands(gitaly: TestGitaly): unknown[] {
  return gitaly.log
    .filter((line) => String(line['grpc.method']).startsWith('SSHUploadPack'))
    .map((line) => line['command.count'] ?? 0);
}

/**
 * Endings of a conversation, after the references: what the client sends, and the processes that it
 * takes.
 */
const CONVERSATIONS: readonly [name: string, chunks: (oid: string) => string[], processes: number][] = [
  ['lists the references and ends with a flush', () => [LS_REFS, FLUSH], 0],
  ['lists the references and hangs up', () => [LS_REFS], 0],
  ['ends at once', () => [FLUSH], 0],
  ['says nothing', () => [], 0],
  ['lists them twice', () => [LS_REFS, lsRefs('ref-prefix refs/tags/'), FLUSH], 0],
  ['sends byte by byte', () => [...LS_REFS, ...FLUSH], 0],
  ['ends in the same packet', () => [LS_REFS + FLUSH], 1],
  ['lists the references and fetches', (oid) => [LS_REFS, fetchOf(oid), FLUSH], 1],
  ['negotiates', (oid) => [LS_REFS, negotiationOf(oid), negotiationOf(oid, 'done\n'), FLUSH], 1],
  ['clones the same small repository again', (oid) => [LS_REFS, fetchOf(oid), FLUSH], 0],
  ['clones it at once', (oid) => [fetchOf(oid)], 0],
  ['fetches what is not there', () => [LS_REFS, fetchOf('1'.repeat(40))], 1],
  ['breaks off in the middle', () => [LS_REFS, '00'], 1],
  ['talks nonsense', () => [LS_REFS, 'nonsense'], 1],
  ['asks for what git does not know', () => [LS_REFS, `${packet('command=none')}${HEAD}${FLUSH}`], 1],
];

for (const call of ['sidechannel', 'stream'] as const) {
  test(`a v2 conversation equals that of git, and starts git only when needed (${call})`, async () => {
    await using gitaly = await startGitaly();
    const oid = await createRepository(gitaly);
    await using client = await talkTo(gitaly);
    await client.talk(call, [FLUSH]); // the first answer is git's: its capabilities

    for (const [name, chunks, processes] of CONVERSATIONS) {
      const gits = await client.talk(call, chunks(oid), ASK_GIT);
      const ours = await client.talk(call, chunks(oid));

      assert.deepEqual(ours, gits, name);
      assert.equal(commands(gitaly).at(-1), processes, name);
    }
    assert.equal(commands(gitaly).filter((count) => count === 1).length, 1 + CONVERSATIONS.length + 7);
  });
}

test('a client that stays silent is sent away in time, before and after the references', async () => {
  await using gitaly = await startGitaly({ config: { timeout: { upload_pack_negotiation: '300ms' } } });
  const oid = await createRepository(gitaly);
  await using client = await talkTo(gitaly);
  const silentAfter = async function* (...chunks: string[]) {
    for (const chunk of chunks) yield Buffer.from(chunk);
    await new Promise(() => {});
  };
  await client.talk('sidechannel', [FLUSH]);

  for (const chunks of [[], [LS_REFS], [LS_REFS, fetchOf(oid).slice(0, 40)]]) {
    const { outcome } = await client.talk('sidechannel', silentAfter(...chunks));
    assert.equal(outcome, 'running upload-pack: waiting for negotiation: context canceled');
  }
  const { stdout } = await client.talk('sidechannel', silentAfter(LS_REFS, fetchOf(oid), FLUSH));
  assert.match(stdout, /PACK/);
});

const LIMIT_MS = 500;

// git was ended as too slow if a request came to it later than the limit after the beginning.
test('after the request of a pack, the conversation goes on without a limit', async () => {
  await using gitaly = await startGitaly({
    config: { timeout: { upload_pack_negotiation: `${LIMIT_MS}ms` } },
  });
  const oid = await createRepository(gitaly);
  await using client = await talkTo(gitaly);
  const later = async function* () {
    yield Buffer.from(fetchOf(oid));
    await setTimeout(LIMIT_MS + LIMIT_MS); // the limit must have passed
    yield Buffer.from(negotiationOf(oid));
    yield Buffer.from(FLUSH);
  };
  await client.talk('sidechannel', [FLUSH]);

  const gits = await client.talk('sidechannel', later(), ASK_GIT);
  const ours = await client.talk('sidechannel', later());

  assert.match(ours.stdout, /PACK.*PACK/s);
  assert.deepEqual(ours, gits);
});

test('a change of the settings shows in the next conversation', async () => {
  await using gitaly = await startGitaly();
  await createRepository(gitaly);
  await using client = await talkTo(gitaly);
  for (const _ of [1, 2]) await client.talk('sidechannel', [FLUSH]);

  appendFileSync(join(gitaly.storagePath(), 'r.git/config'), '[lsrefs]\n\tunborn = ignore\n');
  const { stdout } = await client.talk('sidechannel', [FLUSH]);

  assert.doesNotMatch(stdout, /unborn/);
  assert.deepEqual(commands(gitaly), [1, 0, 1]);
});

test('git ls-remote and a fetch without news start no process', { skip: NO_OPENSSH }, async () => {
  await using opened = await startGateway();
  const key = await makeSshKey(join(opened.directory, 'key'), 'jane');
  const hostKeyPath = join(opened.directory, 'host-key');
  const args = await sshArguments({
    directory: opened.directory,
    gateway: opened.gateway,
    hostKeyPath,
    key: key.path,
  });
  const env = gitOverSsh(args);
  const [url, clone] = [`${opened.gateway.url}/a.git`, join(opened.directory, 'clone')];

  await runGit(['-c', 'protocol.version=2', 'clone', '--quiet', url, clone], { env });
  const listed = await runGit(['-c', 'protocol.version=2', 'ls-remote', url], { env });
  await runGit(['-C', clone, '-c', 'protocol.version=2', 'fetch', '--quiet'], { env });

  assert.match(listed, /refs\/heads\/main$/);
  assert.deepEqual(commands(opened.gitaly).slice(1), [0, 0]);
});
