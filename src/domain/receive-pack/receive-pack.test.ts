import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSmallRepository, REPOSITORY, writeScript } from '#testkit/clients/operation-fixture';
import { processesIn } from '#testkit/measure/process-usage';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput } from '#testkit/repositories/init-repository';
import { FLUSH, packets, pushBody, ZERO_OID } from '#testkit/repositories/push';
import { runSync } from '#testkit/run-program-sync';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const FIRST = { repository: REPOSITORY, glId: 'user-1', glUsername: 'jane' };

test('a client that leaves while a hook runs ends it, and leaves nothing', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = createSmallRepository(gitaly);
  const before = readdirSync(join(path, 'objects'));
  writeScript(
    join(path, 'custom_hooks/pre-receive'),
    'mkfifo "$GIT_DIR/gate"; echo $$ > "$GIT_DIR/started"; cat "$GIT_DIR/gate"',
  );
  const leaving = new AbortController();
  const data = pushBody([`${ZERO_OID} ${oid} refs/heads/new`]);

  const pushed = Array.fromAsync(
    gitaly.connection.smartHttp.postReceivePack([FIRST, { data }], { signal: leaving.signal }),
  );
  await until(() => existsSync(join(path, 'started')));
  assert.notDeepEqual(readdirSync(join(path, 'objects')), before);
  leaving.abort();

  await assert.rejects(pushed);
  const left = (): string[] => readdirSync(join(path, 'objects'));
  await until(
    () => left().length === before.length,
    () => String(left()),
  );
  assert.equal(gitOutput(path, ['for-each-ref', '--format=%(refname)']), 'refs/heads/main');
});

// git does not clean up when it is ended by a signal.
test('a client that leaves while git unpacks its push leaves nothing', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = createSmallRepository(gitaly);
  const before = readdirSync(join(path, 'objects'));
  const leaving = new AbortController();
  const commands = ['a', 'b'].map((name) => `${ZERO_OID} ${oid} refs/heads/${name}`);
  async function* requests() {
    yield FIRST;
    yield { data: pushBody(commands, { pack: Buffer.from('PACK\0\0\0\x02\0\0\0\x02', 'latin1') }) };
    await new Promise(() => {});
  }

  const { signal } = leaving;
  const pushed = Array.fromAsync(gitaly.connection.smartHttp.postReceivePack(requests(), { signal }));
  await until(() => processesIn(path).some((command) => command.includes('unpack-objects')));
  assert.notDeepEqual(readdirSync(join(path, 'objects')), before);
  leaving.abort();

  await assert.rejects(pushed);
  const left = (): string[] => readdirSync(join(path, 'objects'));
  await until(
    () => left().length === before.length,
    () => String(left()),
  );
});

for (const deletes of [false, true]) {
  const what = deletes ? 'deletion' : 'commit';
  test(`over SSH a client that keeps its side open gets the end of a ${what}`, async () => {
    await using gitaly = await startGitaly();
    const { path, oid } = createSmallRepository(gitaly, Buffer.from('one'));
    const copy = join(gitaly.directory, 'copy.git');
    gitOutput(path, ['clone', '--quiet', '--bare', path, copy]);
    const newOid = commitFiles(copy, { file: Buffer.from('two') });
    const file = join(gitaly.directory, 'new');
    const name = gitOutput(copy, ['pack-objects', '--revs', '--quiet', file], `${newOid}\n^${oid}\n`);
    const pack = readFileSync(`${file}-${name}.pack`);
    gitOutput(path, ['update-ref', 'refs/heads/old', 'main']);
    const stdin = deletes
      ? pushBody([`${oid} ${ZERO_OID} refs/heads/old`], { pack: Buffer.alloc(0) })
      : pushBody([`${oid} ${newOid} refs/heads/main`], { pack });

    const output: Uint8Array[] = [];
    const requests = (async function* () {
      yield FIRST;
      yield { stdin };
      await new Promise(() => {});
    })();
    for await (const { stdout } of gitaly.connection.ssh.sshReceivePack(requests)) output.push(stdout);

    const reference = deletes ? 'refs/heads/old' : 'refs/heads/main';
    const texts = packets(Buffer.concat(output)).map(String);
    assert.match(texts.at(-1) ?? '', new RegExp(`unpack ok\n.*ok ${reference}\n`, 's'));
    const branches = deletes ? `${oid} refs/heads/main` : `${newOid} refs/heads/main\n${oid} refs/heads/old`;
    assert.equal(gitOutput(path, ['show-ref']), branches);
    const line = gitaly.log.find((each) => each['grpc.method'] === 'SSHReceivePack') ?? {};
    const reason = deletes ? 'push: the push is not a creation or an update' : undefined;
    assert.equal(line['in_process.reasons'], reason);
  });
}

test('over SSH a client that has nothing to push ends the call', async () => {
  await using gitaly = await startGitaly();
  const { oid } = createSmallRepository(gitaly);

  const output: Uint8Array[] = [];
  const requests = [FIRST, { stdin: Buffer.from(FLUSH) }];
  for await (const { stdout } of gitaly.connection.ssh.sshReceivePack(requests)) output.push(stdout);

  const [first = '', ...others] = packets(Buffer.concat(output)).map(String);
  assert.match(first, new RegExp(`^${oid} refs/heads/main\0report-status .*side-band-64k`));
  assert.deepEqual(others, []);
});

// Such a leftover ended the server: its error had no handler while a hook ran.
test('a push is received beside a leftover of a killed push that cannot be removed', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = createSmallRepository(gitaly);
  writeScript(join(path, 'custom_hooks/pre-receive'), 'sleep 0.3');
  const leftover = join(path, 'objects/tmp_objdir-incoming-x');
  // Its path is longer than a system call accepts.
  const levels = `name=$(printf %0250d 0); for level in $(seq 20); do mkdir $name && cd $name; done`;
  runSync('sh', ['-c', `mkdir '${leftover}' && cd '${leftover}' && ${levels}`]);
  utimesSync(leftover, 0, 0);
  const data = pushBody([`${ZERO_OID} ${oid} refs/heads/new`]);

  const requests = [FIRST, { data }];
  await Array.fromAsync(gitaly.connection.smartHttp.postReceivePack(requests));

  assert.equal(gitOutput(path, ['rev-parse', 'refs/heads/new']), oid);
  assert.ok(existsSync(leftover));
  assert.ok(gitaly.log.some(({ msg }) => msg === 'removing the leftovers of killed pushes failed'));
  runSync('rm', ['-r', leftover]);
});

test('many new references are packed as git packs them', async () => {
  await using gitaly = await startGitaly();
  const { path, oid } = createSmallRepository(gitaly);
  const tagger = 'tagger a <a@x> 1600000000 +0000\n\n';
  const tag = (of: string, type: string): string =>
    gitOutput(path, ['mktag'], `object ${of}\ntype ${type}\ntag t\n${tagger}`);
  const ofCommit = tag(oid, 'commit');
  const tags = [ofCommit, tag(ofCommit, 'tag'), oid, ...Array.from({ length: 14 }, () => ofCommit)];
  const commands = tags.map((each, index) => `${ZERO_OID} ${each} refs/tags/v${index}`);
  const copy = join(gitaly.directory, 'copy.git');
  cpSync(path, copy, { recursive: true });

  await Array.fromAsync(gitaly.connection.smartHttp.postReceivePack([FIRST, { data: pushBody(commands) }]));

  for (const [index, each] of tags.entries()) gitOutput(copy, ['update-ref', `refs/tags/v${index}`, each]);
  gitOutput(copy, ['update-ref', '-d', 'refs/heads/main']);
  gitOutput(copy, ['pack-refs', '--all']);
  const packedIn = (repository: string): string => readFileSync(join(repository, 'packed-refs'), 'utf8');
  assert.equal(packedIn(path), packedIn(copy));
});

// git: http-backend.c writes REMOTE_USER, and REMOTE_USER@http.REMOTE_ADDR.
for (const [username, remoteIp, expected] of [
  ['jane', '192.0.2.7', 'jane <jane@http.192.0.2.7>'],
  ['Jörg <x>', '2001:db8::1', 'Jörg x <Jörg x@http.2001:db8::1>'],
  ['jane', undefined, 'jane <jane@http.(none)>'],
] as const)
  test(`the reflog names the user of a push: ${expected}`, async () => {
    await using gitaly = await startGitaly();
    const { path, oid } = createSmallRepository(gitaly);
    gitOutput(path, ['config', 'core.logAllRefUpdates', 'true']);
    const metadata = remoteIp === undefined ? {} : { remote_ip: remoteIp };
    const data = pushBody([`${ZERO_OID} ${oid} refs/heads/new`]);

    const first = { ...FIRST, glUsername: username };
    await Array.fromAsync(gitaly.connection.smartHttp.postReceivePack([first, { data }], { metadata }));

    const line = gitOutput(path, ['reflog', 'show', '--format=%gn <%ge> %gs', 'refs/heads/new']);
    assert.equal(line, `${expected} push`);
  });
