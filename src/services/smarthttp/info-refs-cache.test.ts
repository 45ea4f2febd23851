import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { REPOSITORY } from '#testkit/clients/operation-fixture';
import { commitFiles } from '#testkit/repositories/commit-files';
import { initServed } from '#testkit/repositories/init-repository';
import { FLUSH } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

/** Their advertisement does not stay in memory. */
const MANY_REFERENCES = 20_000;

/**
 * Runs git and notes each upload-pack, which waits as long as there is a file `hold`, and writes a
 * little at a time if there is a file `dribble`.
 */
const gatedGit = (gate: string): string => `#!/bin/sh
case " $* " in
*" upload-pack "*)
  echo $$ >>"${gate}/started"
  while [ -e "${gate}/hold" ]; do sleep 0.02; done
  if [ -e "${gate}/dribble" ]; then
    git "$@" | dd bs=256 2>/dev/null
    exit
  fi
  ;;
esac
exec git "$@"
`;

async function start(context: TestContext, { references = 0 } = {}) {
  const gate = makeScratchDirectory('gate');
  mkdirSync(gate, { recursive: true });
  const script = join(gate, 'git');
  writeFileSync(script, gatedGit(gate));
  chmodSync(script, 0o755);
  const gitaly = await startGitaly({
    config: { git: { bin_path: script }, prometheus_listen_addr: '127.0.0.1:0' },
  });
  context.after(async () => {
    rmSync(join(gate, 'hold'), { force: true });
    await gitaly[Symbol.asyncDispose]();
    rmSync(gate, { recursive: true });
  });
  const path = initServed(gitaly, REPOSITORY.relativePath);
  const oid = commitFiles(path, { file: 'content' });
  await runGit(['-C', path, 'update-ref', 'refs/keep-around/x', oid]);
  if (references > 0) {
    const lines = Array.from({ length: references }, (_, index) => `${oid} refs/heads/many/${index}`).sort();
    writeFileSync(join(path, 'packed-refs'), `${lines.join('\n')}\n`);
  }
  const cache = join(gitaly.storagePath(), '+gitaly/InfoRefsCache');
  const readChunks = async (request: object, signal?: AbortSignal): Promise<Uint8Array[]> => {
    const chunks: Uint8Array[] = [];
    const call = gitaly.connection.smartHttp.infoRefsUploadPack(
      { repository: REPOSITORY, ...request },
      signal === undefined ? {} : { signal },
    );
    for await (const { data } of call) chunks.push(data);
    return chunks;
  };
  const read = async (request: object = {}, signal?: AbortSignal): Promise<string> =>
    Buffer.concat(await readChunks(request, signal)).toString();
  return {
    gitaly,
    path,
    oid,
    cache,
    read,
    readChunks,
    files: (): string[] =>
      existsSync(cache)
        ? readdirSync(cache, { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map((entry) => join(entry.parentPath, entry.name))
        : [],
    /** Returns what git advertises now. */
    expected: async (): Promise<string> => {
      const settings = ['allowFilter=true', 'allowAnySHA1InWant=true', 'hideRefs=refs/keep-around/'];
      const options = settings.flatMap((setting) => ['-c', `uploadpack.${setting}`]);
      const command = [...options, 'upload-pack', '--stateless-rpc', '--advertise-refs', path];
      return `001e# service=git-upload-pack\n0000${await runGit(command)}`;
    },
    started: (): number =>
      existsSync(join(gate, 'started'))
        ? readFileSync(join(gate, 'started'), 'utf8').trim().split('\n').length
        : 0,
    dribble: () => writeFileSync(join(gate, 'dribble'), ''),
    hold: () => writeFileSync(join(gate, 'hold'), ''),
    release: () => rmSync(join(gate, 'hold')),
    metric: async (line: string): Promise<number> => {
      const monitoring = gitaly.log.find(({ msg }) => msg === 'starting prometheus listener')?.address;
      const text = await (await fetch(`http://${String(monitoring)}/metrics`)).text();
      const found = text.split('\n').find((each) => each.startsWith(`${line} `));
      return Number(found?.slice(line.length) ?? 0);
    },
  };
}

/** Compares long texts; a report of the differences would be as long. */
function assertSame(found: string, expected: string): void {
  const at = [...expected].findIndex((char, index) => char !== found[index]);
  assert.ok(found === expected, `${found.length} bytes, not ${expected.length}; different from ${at} on`);
}

/** The references in an advertisement. */
const referencesIn = (text: string): string[] =>
  [...text.matchAll(/ (refs\/[^\n\0]+)[\n\0]/g)].map(([, name = '']) => name);

test('references are sent in large messages, however git writes them', async (context) => {
  const { dribble, expected, readChunks } = await start(context, { references: 500 });
  dribble();

  for (const request of [{}, {}, { gitProtocol: 'version=1' }]) {
    const chunks = await readChunks(request);
    assert.equal(chunks.length, 1, JSON.stringify(request));
    if (request.gitProtocol === undefined) assertSame(Buffer.concat(chunks).toString(), await expected());
  }
});

test('references for a fetch are cached until a change, and only for plain requests', async (context) => {
  const { gitaly, path, oid, read, started } = await start(context);
  await read({ gitConfigOptions: ['transfer.hideRefs=refs'] });
  await read({ gitConfigOptions: ['transfer.hideRefs=refs'] });
  assert.equal(started(), 2);

  const first = await read();
  assert.ok(first.startsWith('001e# service=git-upload-pack\n0000'));
  assert.deepEqual(referencesIn(first), ['refs/heads/main']);
  assert.equal(started(), 3);
  // A change by git itself does not invalidate the cache: this proves that the answer came from it.
  await runGit(['-C', path, 'update-ref', 'refs/heads/behind', oid]);
  assert.equal(await read(), first);
  assert.equal(started(), 3);

  const ref = Buffer.from('refs/heads/new');
  await gitaly.connection.repository.writeRef({ repository: REPOSITORY, ref, revision: Buffer.from(oid) });
  assert.deepEqual(referencesIn(await read()), ['refs/heads/behind', 'refs/heads/main', 'refs/heads/new']);
});

test('identical requests at once share one git, and all get its whole answer', async (context) => {
  const { read, expected, started, hold, release, metric } = await start(context, {
    references: MANY_REFERENCES,
  });
  hold();
  const reads = Array.from({ length: 8 }, () => read());
  await until(async () => (await metric('gitaly_inforef_cache_hit_miss_total{type="hit"}')) === 7);
  release();

  const answers = await Promise.all(reads);

  assert.equal(started(), 1);
  const whole = await expected();
  assert.ok(whole.endsWith(FLUSH));
  for (const answer of answers) assertSame(answer, whole);
});

test('a caller that leaves does not end the answer of the others', async (context) => {
  const { read, expected, started, hold, release, metric } = await start(context);
  hold();
  const leaving = new AbortController();
  const first = read({}, leaving.signal);
  await until(() => started() === 1);
  const second = read();
  await until(async () => (await metric('gitaly_inforef_cache_hit_miss_total{type="hit"}')) === 1);
  leaving.abort();
  await assert.rejects(first);
  release();

  assertSame(await second, await expected());
  assert.equal(started(), 1);
});

test('no reader misses a change that was finished before its call', async (context) => {
  const { gitaly, path, oid, read } = await start(context);
  const WRITES = 40;
  let finished = 0;
  let isOver = false;
  const write = async (): Promise<void> => {
    for (let at = 1; at <= WRITES; at++) {
      const ref = Buffer.from(`refs/heads/w${at}`);
      await gitaly.connection.repository.writeRef({
        repository: REPOSITORY,
        ref,
        revision: Buffer.from(oid),
      });
      finished = at;
    }
    isOver = true;
  };
  let reads = 0;
  const readOn = async (): Promise<void> => {
    while (!isOver) {
      const known = finished;
      const names = new Set(referencesIn(await read()));
      for (let at = 1; at <= known; at++) assert.ok(names.has(`refs/heads/w${at}`), `w${at} of ${known}`);
      reads++;
    }
  };

  await Promise.all([write(), ...Array.from({ length: 4 }, readOn)]);

  assert.ok(reads > 0);
  const refs = (await runGit(['-C', path, 'for-each-ref', '--format=%(refname)', 'refs/heads'])).split('\n');
  assert.deepEqual(referencesIn(await read()), refs);
});

const DAMAGES: Readonly<Record<string, (file: string) => Promise<void>>> = {
  'an empty file': (file) => truncate(file, 0),
  'a truncated file': (file) => truncate(file, 1_200_000),
  'a changed file': async (file) => {
    await using handle = await open(file, 'r+');
    await handle.write(Buffer.from('XX'), 0, 2, 1000);
  },
};

for (const [name, damage] of Object.entries(DAMAGES)) {
  test(`${name} never becomes an answer`, async (context) => {
    const { read, expected, files, started } = await start(context, { references: MANY_REFERENCES });
    const whole = await expected();
    assertSame(await read(), whole);
    await until(() => files().length === 1, 'the answer is in a file');
    assertSame(await read(), whole);
    assert.equal(started(), 1);
    const [file = ''] = files();

    await damage(file);
    // What was sent before the damage was found cannot be taken back: then the call fails.
    const answer = await read().catch(({ code }: { code: string }) => code);

    if (answer !== 'DATA_LOSS') assertSame(answer, whole);
    assertSame(await read(), whole);
    assert.equal(started(), 2);
    await until(() => !files().includes(file), 'the damaged file is removed');
  });
}

test('an unusable directory is logged and counted, and the client gets its answer', async (context) => {
  const { gitaly, cache, read, expected, metric } = await start(context, { references: MANY_REFERENCES });
  rmSync(cache, { recursive: true, force: true });
  mkdirSync(join(cache, '..'), { recursive: true });
  writeFileSync(cache, 'no directory');

  assertSame(await read(), await expected());

  await until(async () => (await metric('gitaly_inforef_cache_hit_miss_total{type="err"}')) > 0);
  const logged = gitaly.log.find(({ msg }) => msg === 'a file of the stream cache failed');
  assert.match(String(logged?.error), /ENOTDIR|EEXIST/);
});

test('a call that is cancelled leaves no half of an answer', async (context) => {
  const { gitaly, read, expected } = await start(context, { references: MANY_REFERENCES });
  const abort = new AbortController();
  const call = gitaly.connection.smartHttp.infoRefsUploadPack(
    { repository: REPOSITORY },
    { signal: abort.signal },
  );
  const iterator = call[Symbol.asyncIterator]();
  await iterator.next();
  abort.abort();
  await iterator.next().catch(() => {});

  assertSame(await read(), await expected());
});
