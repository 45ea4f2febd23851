import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { ServerStatus } from '#calls/top/status';
import { CallError, dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { REMOTE_IP, USERNAME } from '#rpc/common/header-names';
import { REPOSITORY } from '#testkit/clients/operation-fixture';
import { commitFiles } from '#testkit/repositories/commit-files';
import { initServed } from '#testkit/repositories/init-repository';
import { FLUSH, packet, packets } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { LimitErrorSchema } from '#wire/gen/errors_pb';

/** More than the window of a stream in memory (2 MiB). */
const LARGE = 3_000_000;
const GONE = '1'.repeat(40);

/** Runs git; an upload-pack or pack-objects waits until the test lets it go. */
const gatedGit = (gate: string): string => `#!/bin/sh
case " $* " in
*" upload-pack "*)
  echo $$ >>"${gate}/started"
  while [ -d "${gate}" ] && [ ! -e "${gate}/go" ]; do sleep 0.02; done
  ;;
esac
exec git "$@"
`;

function request(
  wants: readonly string[],
  { agent = 'git/2.45.0', lines = ['done'] as readonly string[] } = {},
) {
  const head = `${packet('command=fetch')}${packet(`agent=${agent}`)}${packet('object-format=sha1')}`;
  const all = ['no-progress', 'ofs-delta', ...wants.map((want) => `want ${want}`), ...lines];
  return `${head}0001${all.map((line) => packet(`${line}\n`)).join('')}${FLUSH}`;
}

interface Posted {
  readonly body?: string;
  readonly remoteIp?: string;
  readonly username?: string;
  readonly stdout?: Writable;
  readonly signal?: AbortSignal;
  readonly gitProtocol?: string;
}

async function start(context: TestContext, config: Readonly<Record<string, unknown>> = {}) {
  const scratch = makeScratchDirectory('gate');
  mkdirSync(scratch, { recursive: true });
  const script = join(scratch, 'git');
  writeFileSync(script, gatedGit(scratch));
  chmodSync(script, 0o755);
  const gitaly = await startGitaly({
    config: { git: { bin_path: script }, prometheus_listen_addr: '127.0.0.1:0', ...config },
  });
  const path = initServed(gitaly, REPOSITORY.relativePath);
  // With this setting git makes all packs that need compression.
  await runGit(['-C', path, 'config', 'core.compression', '1']);
  const oid = commitFiles(path, { large: randomBytes(LARGE) });
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(gitaly.address, registry);
  context.after(async () => {
    writeFileSync(join(scratch, 'go'), '');
    await connection.close();
    await gitaly[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true, force: true });
  });

  const post = async (posted: Posted = {}): Promise<Buffer> => {
    const { body = request([oid]), remoteIp = '', username, signal, gitProtocol = 'version=2' } = posted;
    const collected = new PassThrough({ highWaterMark: 64 * 1024 });
    const stdout = posted.stdout ?? collected;
    const answer = posted.stdout === undefined ? buffer(collected) : Promise.resolve(Buffer.alloc(0));
    const metadata = {
      ...(remoteIp !== '' && { [REMOTE_IP]: remoteIp }),
      ...(username !== undefined && { [USERNAME]: username }),
    };
    const io = { stdin: Readable.from([Buffer.from(body)]), stdout };
    await postUploadPack(
      connection,
      registry,
      io,
      { repository: REPOSITORY, gitProtocol },
      { metadata, ...(signal !== undefined && { signal }) },
    ).finally(() => stdout.end());
    return await answer;
  };
  const started = (): number[] =>
    existsSync(join(scratch, 'started'))
      ? readFileSync(join(scratch, 'started'), 'utf8').trim().split('\n').map(Number)
      : [];
  const metrics = async (): Promise<string> => {
    const line = gitaly.log.find(({ msg }) => msg === 'starting prometheus listener');
    return await (await fetch(`http://${String(line?.address)}/metrics`)).text();
  };
  const status = async (): Promise<ServerStatus> => {
    const line = gitaly.log.find(({ msg }) => msg === 'starting prometheus listener');
    const response = await fetch(`http://${String(line?.address)}/debug/top`);
    return (await response.json()) as ServerStatus; // of this server
  };
  const metric = async (line: string): Promise<number | undefined> => {
    const found = (await metrics()).split('\n').find((each) => each.startsWith(`${line} `));
    return found === undefined ? undefined : Number(found.slice(line.length + 1));
  };
  const logged = (count: number) =>
    until(
      () => gitaly.log.filter(({ msg }) => String(msg).startsWith('finished')).length >= count,
      'the calls are logged',
    );
  return {
    gitaly,
    oid,
    path,
    post,
    started,
    metric,
    status,
    logged,
    release: () => writeFileSync(join(scratch, 'go'), ''),
    hold: () => rmSync(join(scratch, 'go'), { force: true }),
  };
}

/** The commit ids of a pack, as git reads them. */
async function objectsIn(answer: Buffer, path: string): Promise<number> {
  const bands = packets(answer).filter(([band]) => band === 1);
  const pack = Buffer.concat(bands.map((each) => each.subarray(1)));
  return pack.subarray(0, 4).toString() === 'PACK' && path !== '' ? pack.readUInt32BE(8) : -1;
}

for (const enabled of [false, true]) {
  test(`identical requests at once share one git (cache ${enabled ? 'on' : 'off'})`, async (context) => {
    const { gitaly, oid, path, post, started, metric, logged, release } = await start(context, {
      pack_objects_cache: { enabled },
    });
    const posts = Array.from({ length: 8 }, (_, index) =>
      post({ body: request([oid], { agent: `git/2.${index}` }) }),
    );
    await until(async () => (await metric('gitaly_pack_objects_cache_lookups_total{result="hit"}')) === 7);
    release();

    const answers = await Promise.all(posts);

    assert.equal(started().length, 1);
    assert.equal(await objectsIn(answers[0] ?? Buffer.alloc(0), path), 3);
    for (const answer of answers) assert.ok(answer.equals(answers[0] ?? Buffer.alloc(0)));
    assert.equal(await metric('gitaly_pack_objects_cache_lookups_total{result="miss"}'), 1);
    const size = answers[0]?.length ?? 0;
    assert.equal(await metric('gitaly_pack_objects_generated_bytes_total'), size);
    assert.equal(await metric('gitaly_pack_objects_served_bytes_total'), 8 * size);
    await logged(8);
    const lines = gitaly.log.filter((line) => line['pack_objects_cache.key'] !== undefined);
    const hits = lines.map((line) => line['pack_objects_cache.hit']).sort();
    assert.deepEqual(hits, [...(enabled ? ['false'] : []), ...Array.from({ length: 7 }, () => 'true')]);
    assert.ok(lines.every((line) => line['pack_objects_cache.served_bytes'] === size));
  });
}

test('a clone of packs with a bitmap starts no git', async (context) => {
  const { gitaly, oid, path, post, started, metric, logged } = await start(context);
  await runGit(['-C', path, 'repack', '-adbq']);

  const answers = await Promise.all([
    post(),
    post(),
    post({ body: request([oid], { lines: ['include-tag', 'done'] }) }),
  ]);

  assert.equal(started().length, 0);
  for (const answer of answers) assert.equal(await objectsIn(answer, path), 3);
  assert.equal(await metric('gitaly_pack_objects_cache_lookups_total{result="hit"}'), 1);
  await logged(3);
  const reused = gitaly.log.filter((line) => line['pack_objects.pack_reused_objects_count'] === 3);
  assert.equal(reused.length, 2);
});

test('a kept pack is sent without git, until a wanted object is gone', async (context) => {
  const { oid, path, post, started, release } = await start(context, {
    pack_objects_cache: { enabled: true, min_occurrences: 1 },
  });
  release();
  const blob = await runGit(['-C', path, 'rev-parse', 'main:large']);
  const body = request([blob], { lines: ['done'] });
  await post({ body });
  const second = await post({ body });
  const third = await post({ body });

  assert.equal(started().length, 2, 'the first occurrence is not kept');
  assert.ok(third.equals(second));
  assert.equal((await post({ body: request([oid]) })).length > 0, true);
  for (const name of readdirSync(join(path, 'objects')))
    rmSync(join(path, 'objects', name), { recursive: true });
  await assert.rejects(post({ body }), { code: 'FAILED_PRECONDITION' });
});

test('a large answer, and one from before a change of the references, are not kept', async (context) => {
  const { hold, oid, path, post, release, started } = await start(context);
  const lines = ['include-tag', 'filter blob:none', 'done'];
  release();
  for (const _ of [1, 2]) await post();
  assert.equal(started().length, 2);

  hold();
  const posted = post({ body: request([oid], { lines }) });
  await until(() => started().length === 3);
  await runGit(['-C', path, 'tag', '-a', '-m', 'tag', 'v1', 'main']);
  release();
  await posted;
  await runGit(['-C', path, 'tag', '-d', 'v1']);

  await post({ body: request([oid], { lines }) });
  assert.equal(started().length, 4);
});

test('every reader of a killed git gets an error, and the next request a new git', async (context) => {
  const { post, started, metric, release } = await start(context, {
    pack_objects_cache: { enabled: true, min_occurrences: 0 },
  });
  const posts = [1, 2, 3].map(() => post());
  await until(async () => (await metric('gitaly_pack_objects_cache_lookups_total{result="hit"}')) === 2);
  await until(() => started().length === 1);

  process.kill(started()[0] ?? 0, 'SIGKILL');

  for (const result of await Promise.allSettled(posts)) assert.equal(result.status, 'rejected');
  release();
  assert.ok((await post()).length > LARGE);
  assert.equal(started().length, 2);
});

test('the last client that leaves ends git; the others do not', async (context) => {
  const { gitaly, post, started, metric } = await start(context);
  const aborts = [1, 2].map(() => new AbortController());
  const posts = aborts.map(({ signal }) => assert.rejects(post({ signal }), { code: 'CANCELLED' }));
  await until(async () => (await metric('gitaly_pack_objects_cache_lookups_total{result="hit"}')) === 1);
  await until(() => started().length === 1);
  const [pid = 0] = started();

  aborts[0]?.abort();
  await posts[0];
  assert.doesNotThrow(() => process.kill(pid, 0));
  aborts[1]?.abort();
  await posts[1];

  await until(() => {
    try {
      return !process.kill(pid, 0);
    } catch {
      return true;
    }
  }, 'git has ended');
  assert.equal(gitaly.log.filter(({ level }) => level === 'error').length, 0);
});

test('a reader that stands still holds nobody up', async (context) => {
  const { post, metric, release } = await start(context);
  let resume: () => void = () => {};
  const received: Buffer[] = [];
  const slow = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      received.push(Buffer.from(chunk));
      if (received.length === 1) resume = done;
      else done();
    },
  });
  const slowPost = post({ stdout: slow });
  const others = [1, 2].map(() => post());
  await until(async () => (await metric('gitaly_pack_objects_cache_lookups_total{result="hit"}')) === 2);
  release();

  const answers = await Promise.all(others);
  await until(() => received.length > 0);
  resume();
  await slowPost;

  for (const answer of answers) assert.ok(answer.equals(Buffer.concat(received)));
});

test('packs of one address wait, in order, and too many are refused', async (context) => {
  const { gitaly, oid, post, started, metric, logged, release } = await start(context, {
    pack_objects_limiting: { max_concurrency: 1, max_queue_size: 1, max_total: -1 },
  });
  const from = (remoteIp: string, depth: number): Promise<Buffer> =>
    post({ body: request([oid], { lines: [`deepen ${depth}`, 'done'] }), remoteIp, username: 'u' });
  const queued = (count: number) =>
    until(async () => (await metric('gitaly_pack_objects_queued{auth="authenticated"}')) === count);
  const first = from('192.0.2.1', 1);
  await until(() => started().length === 1);
  const second = from('192.0.2.1:99', 2);
  await queued(1);

  const busy = { code: 'RESOURCE_EXHAUSTED', message: /maximum queue size reached$/ };
  const refused = await from('192.0.2.1', 3).then(
    () => assert.fail('the third is refused'),
    (error: unknown) => error,
  );
  assert.partialDeepStrictEqual({ code: (refused as { code?: string }).code }, { code: busy.code });
  assert.match(String((refused as Error).message), busy.message);
  assert.ok(refused instanceof CallError);
  assert.deepEqual(
    refused.details.map(({ $typeName }) => $typeName),
    [LimitErrorSchema.typeName],
  );
  const others = [from('198.51.100.1', 4), from('127.0.0.1', 5), from('', 6)];
  await until(() => started().length === 4, 'other addresses, and this machine, are not limited');
  assert.equal(await metric('gitaly_pack_objects_in_progress{auth="authenticated"}'), 2);
  release();
  await Promise.all([first, second, ...others]);

  assert.equal(await metric('gitaly_pack_objects_in_progress{auth="authenticated"}'), 0);
  assert.equal(await metric('gitaly_pack_objects_queued{auth="authenticated"}'), 0);
  assert.equal(await metric('gitaly_pack_objects_dropped_total{auth="authenticated",reason="max_size"}'), 1);
  await logged(6);
  const dropped = gitaly.log.find((line) => line['limit.concurrency_dropped'] === 'max_size');
  assert.partialDeepStrictEqual(dropped, {
    'limit.limiting_type': 'pack-objects',
    'limit.limiting_key': '192.0.2.1',
    'limit.config_key': 'pack_objects_limiting',
    'limit.concurrency_queue_length': 2,
  });
});

test('who shares the pack of a refused caller makes it instead', async (context) => {
  const { oid, post, started, metric, release } = await start(context, {
    pack_objects_limiting: { max_concurrency: 1, max_queue_wait: '2s' },
  });
  const holder = post({ remoteIp: '192.0.2.1' });
  await until(() => started().length === 1);
  const body = request([oid], { lines: ['deepen 1', 'done'] });
  const refused = assert.rejects(post({ body, remoteIp: '192.0.2.1' }), {
    code: 'RESOURCE_EXHAUSTED',
    message: /maximum time in concurrency queue reached$/,
  });
  await until(async () => (await metric('gitaly_pack_objects_queued{auth="authenticated"}')) === 1);
  const other = post({ body, remoteIp: '198.51.100.1' });
  await until(async () => (await metric('gitaly_pack_objects_cache_lookups_total{result="hit"}')) === 1);

  await refused;
  await until(() => started().length === 2);
  release();

  assert.ok((await other).length > LARGE);
  await holder;
});

test('a waiting pack that its client leaves gives up its place', async (context) => {
  const { oid, post, started, metric, release, status } = await start(context, {
    pack_objects_limiting: { max_total: 1 },
  });
  const deep = (depth: number, signal?: AbortSignal): Promise<Buffer> =>
    post({
      body: request([oid], { lines: [`deepen ${depth}`, 'done'] }),
      ...(signal !== undefined && { signal }),
    });
  const first = deep(1);
  await until(() => started().length === 1);
  const abort = new AbortController();
  const leaving = assert.rejects(deep(2, abort.signal), { code: 'CANCELLED' });
  await until(async () => (await metric('gitaly_ts_packs_queued')) === 1);
  const third = deep(3);
  await until(async () => (await metric('gitaly_ts_packs_queued')) === 2);
  const { calls, queues } = await status();
  const key = 'pack_objects_limiting.max_total';
  assert.deepEqual(queues, [
    { limit: key, method: 'packs', repository: '', caller: '', running: 1, waiting: 2 },
  ]);
  assert.equal(calls.filter(({ waits_for }) => waits_for === key).length, 2);

  abort.abort();
  await leaving;
  await until(async () => (await metric('gitaly_ts_packs_queued')) === 1);
  assert.equal(await metric('gitaly_ts_packs_in_progress'), 1);
  release();
  await Promise.all([first, third]);

  assert.equal(started().length, 2);
  assert.equal(await metric('gitaly_ts_packs_in_progress'), 0);
});

test('a slow client does not keep its pack unfinished while another waits', async (context) => {
  const { oid, post, started, metric, release } = await start(context, {
    pack_objects_limiting: { max_total: 1 },
  });
  release();
  let resume: () => void = () => {};
  let received = 0;
  const stuck = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      received += chunk.length;
      if (resume.length === 0 && received === chunk.length) resume = done;
      else done();
    },
  });
  const slow = post({ stdout: stuck, body: request([oid], { lines: ['deepen 1', 'done'] }) });
  await until(() => received > 0);
  assert.equal(await metric('gitaly_ts_packs_in_progress'), 1);

  assert.ok((await post()).length > LARGE);

  assert.equal(started().length, 2);
  resume();
  await slow;
  assert.ok(received > LARGE);
});

test('packs of protocol v0 are limited, and their users read why', async (context) => {
  const { oid, post, started, metric, release } = await start(context, {
    pack_objects_limiting: { max_concurrency: 1, max_queue_size: 1, max_queue_wait: '1ms' },
  });
  const remoteIp = '192.0.2.1';
  const v2 = post({ remoteIp });
  await until(() => started().length === 1);
  await until(async () => (await metric('gitaly_pack_objects_in_progress{auth="authenticated"}')) === 1);
  const want = `${packet(`want ${oid} side-band-64k ofs-delta\n`)}0000${packet('done\n')}`;
  const stdout = new PassThrough();
  const answer = buffer(stdout);
  const refused = post({ body: want, gitProtocol: '', remoteIp, stdout });
  const rejection = assert.rejects(refused, { code: 'FAILED_PRECONDITION' });
  await until(() => started().length === 2);
  // The second git starts behind the gate; the first holds its turn until the end of the test.
  const ended = until(
    async () =>
      (await metric('gitaly_pack_objects_dropped_total{auth="authenticated",reason="max_time"}')) === 1,
  );
  process.kill(started()[0] ?? 0, 'SIGSTOP');
  release();
  await ended;
  await rejection;

  assert.match(
    (await answer).toString('latin1'),
    /error executing git hook\n[\s\S]*error resource exhausted, please try again later\n/,
  );
  process.kill(started()[0] ?? 0, 'SIGCONT');
  assert.ok((await v2).length > LARGE);
  const granted = await post({ body: want, gitProtocol: '', remoteIp });
  assert.ok(granted.length > LARGE);
  await until(async () => (await metric('gitaly_pack_objects_in_progress{auth="authenticated"}')) === 0);
});

test('git refuses what is not there, for each client', async (context) => {
  const { post, release } = await start(context, { pack_objects_cache: { enabled: true } });
  release();
  for (let time = 0; time < 2; time++)
    await assert.rejects(post({ body: request([GONE]) }), {
      code: 'FAILED_PRECONDITION',
      message: 'running upload-pack: waiting for upload-pack: exit status 128',
    });
});
