import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CallError } from '#client/index';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { never, until } from '#testkit/until';
import { USER } from '#testkit/user';

const repository = {
  storageName: 'default',
  relativePath: 'r.git',
  glRepository: 'project-1',
  glProjectPath: 'group/project',
};
const MEBIBYTE = 1024 * 1024;
const MANY = 10_000;

/**
 * Variables that a script may find in its environment, apart from those that the server passes on
 * and those that a shell sets itself.
 */
const VARIABLES =
  /^(GL_(ID|USERNAME|PROTOCOL|REPOSITORY|PROJECT_PATH)|GIT_(DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|PUSH_OPTION_(COUNT|\d+)|TERMINAL_PROMPT|CONFIG_GLOBAL|CONFIG_SYSTEM|EXEC_PATH)|XDG_CONFIG_HOME|LANG|CORRELATION_ID|HOME|PATH|LD_LIBRARY_PATH|TZ|(all|http|https|no)_proxy|(HTTP|HTTPS|NO)_PROXY|PWD|OLDPWD|SHLVL|_)=/;

interface Place {
  readonly gitaly: TestGitaly;
  readonly path: string;
  readonly oid: string;
}

function makeRepository(gitaly: TestGitaly): Place {
  const path = initServed(gitaly, 'r.git', { commits: 1 });
  return { gitaly, path, oid: gitOutput(path, ['rev-parse', 'main']) };
}

function script(path: string, text: string, mode = 0o755): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, mode);
}

/** Pushes new branches and reports each piece of the response as it arrives. */
async function push(
  { gitaly, oid }: Place,
  names: readonly string[],
  options: { pushOptions?: readonly string[]; onPiece?: (data: Uint8Array) => void } = {},
) {
  const { pushOptions, onPiece } = options;
  const commands = names.map((name) => `${ZERO_OID} ${oid} refs/heads/${name}`);
  const body = pushBody(commands, pushOptions === undefined ? {} : { pushOptions });
  async function* requests() {
    yield { repository, glId: 'user-1', glUsername: 'jane' };
    for (let at = 0; at < body.length; at += 100_000) yield { data: body.subarray(at, at + 100_000) };
  }
  const answer: Uint8Array[] = [];
  for await (const { data } of gitaly.connection.smartHttp.postReceivePack(requests())) {
    answer.push(data);
    onPiece?.(data);
  }
  return readReport(Buffer.concat(answer));
}

async function tagFailure({ gitaly }: Place): Promise<string> {
  const request = { repository, user: USER, tagName: Buffer.from('v1'), targetRevision: Buffer.from('main') };
  return await gitaly.connection.operation.userCreateTag(request).then(
    () => 'done',
    (error: unknown) => (error instanceof CallError ? `${error.code} ${error.message}` : String(error)),
  );
}

test('a push runs the scripts of the repository, then those of the server, and no other files', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const place = makeRepository(gitaly);
  const own = join(place.path, 'custom_hooks');
  const global = join(gitaly.directory, 'custom_hooks');
  for (const hook of ['pre-receive', 'update', 'post-receive']) {
    script(join(global, `${hook}.d/a`), `echo ${hook} 5`);
    script(join(own, `${hook}.d/b`), `echo ${hook} 4`);
    script(join(own, `${hook}.d/B`), `echo ${hook} 3`);
    script(join(own, `${hook}.d/10`), `echo ${hook} 2`);
    script(join(own, hook), `echo ${hook} 1`);
    script(join(own, `${hook}.d/0~`), 'echo backup');
    script(join(own, `${hook}.d/0`), 'echo not executable', 0o644);
    mkdirSync(join(own, `${hook}.d/00`));
    script(join(global, hook), 'echo a global script outside of the directory');
    script(join(place.path, 'hooks', hook), "echo git's own hook");
  }
  script(join(own, 'reference-transaction'), 'echo reference-transaction');

  const { messages } = await push(place, ['one', 'two']);

  const lines = (hook: string): string[] => [1, 2, 3, 4, 5].map((number) => `${hook} ${number}`);
  const updates = [...lines('update'), ...lines('update')];
  assert.deepEqual(messages.trimEnd().split('\n'), [
    ...lines('pre-receive'),
    ...updates,
    ...lines('post-receive'),
  ]);
});

test('the first script that refuses is the last that runs', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const place = makeRepository(gitaly);
  script(join(place.path, 'custom_hooks/pre-receive.d/1'), 'echo one; exit 7');
  script(join(gitaly.directory, 'custom_hooks/pre-receive.d/1'), 'echo two');

  const answer = await push(place, ['new']);

  assert.deepEqual(answer, {
    report: ['unpack ok', 'ng refs/heads/new pre-receive hook declined'],
    messages: 'one\n',
  });
});

test('a script of a push sees the user and the push options, and nothing confidential', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const place = makeRepository(gitaly);
  const seen = join(gitaly.directory, 'seen');
  for (const hook of ['pre-receive', 'update', 'post-receive']) {
    script(
      join(gitaly.directory, `custom_hooks/${hook}.d/1`),
      `env > ${seen}-${hook}; pwd >> ${seen}-${hook}-cwd`,
    );
  }
  const pushOptions = ['ci.skip', 'merge_request.title=a "title"; $(id)', ''];

  await push(place, ['new'], { pushOptions });

  for (const hook of ['pre-receive', 'update', 'post-receive']) {
    const lines = readFileSync(`${seen}-${hook}`, 'utf8').trimEnd().split('\n');
    assert.deepEqual(
      lines.filter((line) => !VARIABLES.test(line)),
      [],
      hook,
    );
    const environment = new Map(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    const value = (name: string): string | undefined => environment.get(name);
    assert.deepEqual(['GL_ID', 'GL_USERNAME', 'GL_PROTOCOL', 'GL_REPOSITORY', 'GL_PROJECT_PATH'].map(value), [
      'user-1',
      'jane',
      'http',
      'project-1',
      'group/project',
    ]);
    assert.equal(value('GIT_DIR'), place.path);
    assert.equal(readFileSync(`${seen}-${hook}-cwd`, 'utf8'), `${place.path}\n`);
    const options = [
      'GIT_PUSH_OPTION_COUNT',
      'GIT_PUSH_OPTION_0',
      'GIT_PUSH_OPTION_1',
      'GIT_PUSH_OPTION_2',
    ].map(value);
    assert.deepEqual(options, hook === 'update' ? Array(4).fill(undefined) : ['3', ...pushOptions], hook);
  }
});

test('the user receives all of what a script prints, megabytes on both streams', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const place = makeRepository(gitaly);
  const noise = (letter: string, bytes: number): string => `head -c ${bytes} /dev/zero | tr '\\0' ${letter}`;
  script(
    join(gitaly.directory, 'custom_hooks/pre-receive.d/1'),
    `${noise('o', 3 * MEBIBYTE)} & ${noise('e', 2 * MEBIBYTE)} >&2; wait`,
  );

  const { report, messages } = await push(place, ['new']);

  assert.deepEqual(report, ['unpack ok', 'ok refs/heads/new']);
  const count = (letter: string): number => messages.split(letter).length - 1;
  assert.deepEqual([count('o'), count('e'), messages.length], [3 * MEBIBYTE, 2 * MEBIBYTE, 5 * MEBIBYTE]);
});

test('the output of a slow script reaches the user while it runs', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const place = makeRepository(gitaly);
  const read = join(gitaly.directory, 'read');
  // It ends when its output was read.
  script(
    join(gitaly.directory, 'custom_hooks/pre-receive.d/1'),
    `echo working; while [ ! -e ${read} ]; do sleep 0.05; done`,
  );

  // A piece may end anywhere, also inside a packet.
  let received = '';
  const onPiece = (data: Uint8Array): void => {
    received += Buffer.from(data).toString('latin1');
    if (received.includes('working')) writeFileSync(read, '');
  };
  const { report } = await push(place, ['new'], { onPiece });

  assert.ok(existsSync(read));
  assert.deepEqual(report, ['unpack ok', 'ok refs/heads/new']);
});

for (const [what, text, words] of [
  ['is killed', 'kill -KILL $$', 'executing custom hooks: error executing "PATH": signal: killed'],
  ['says nothing', 'exit 3', 'executing custom hooks: error executing "PATH": exit status 3'],
  ['prints on standard output only', 'echo out; exit 1', 'out\n'],
  ['prints on both', 'echo out; echo err >&2; exit 1', 'err\n'],
] as const) {
  test(`a script that ${what} refuses a push and an operation`, async () => {
    await using gitaly = await startGitaly({ customHooks: true });
    const place = makeRepository(gitaly);
    const path = join(gitaly.directory, 'custom_hooks/pre-receive.d/1');
    script(path, text);

    const { report } = await push(place, ['new']);

    assert.deepEqual(report, ['unpack ok', 'ng refs/heads/new pre-receive hook declined']);
    const denied = 'PERMISSION_DENIED reference update denied by custom hooks: running pre-receive hooks: ';
    assert.equal(await tagFailure(place), denied + words.replace('PATH', path));
    assert.equal(gitOutput(place.path, ['for-each-ref', '--format=%(refname)']), 'refs/heads/main');
  });
}

test('a script that cannot be started refuses a push and an operation', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const place = makeRepository(gitaly);
  const path = join(gitaly.directory, 'custom_hooks/pre-receive.d/1');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, 'no program', { mode: 0o755 });

  const { report, messages } = await push(place, ['new']);

  assert.deepEqual(report, ['unpack ok', 'ng refs/heads/new pre-receive hook declined']);
  const words = `executing custom hooks: starting process [${path}]: fork/exec ${path}: exec format error`;
  assert.equal(messages, words);
  assert.equal(await tagFailure(place), `INTERNAL updating reference: running pre-receive hooks: ${words}`);
});

test(`${MANY} references reach every script in full, also after one that reads none`, async () => {
  // A power failure cannot happen here; waiting for the disk ten thousand times takes half a
  // minute.
  const git = { config: [{ key: 'core.fsync', value: 'none' }] };
  await using gitaly = await startGitaly({ customHooks: true, config: { git } });
  const place = makeRepository(gitaly);
  const directory = join(gitaly.directory, 'custom_hooks');
  for (const hook of ['pre-receive', 'post-receive']) {
    script(join(directory, `${hook}.d/1`), 'exec < /dev/null');
    for (const number of [2, 3])
      script(join(directory, `${hook}.d/${number}`), `cat > ${gitaly.directory}/${hook}-${number}`);
  }
  const names = Array.from({ length: MANY }, (_, number) => `many/${number % 100}/${number}`);

  const { report, messages } = await push(place, names);

  assert.deepEqual(
    [report.length, report.filter((line) => !/^(ok|unpack ok)/.test(line)), messages],
    [MANY + 1, [], ''],
  );
  const changes = names.map((name) => `${ZERO_OID} ${place.oid} refs/heads/${name}\n`).join('');
  for (const name of ['pre-receive-2', 'pre-receive-3', 'post-receive-2', 'post-receive-3']) {
    assert.ok(readFileSync(join(gitaly.directory, name), 'utf8') === changes, name);
  }
});

// The quarantine was removed while a process of the script still wrote into it.
test('when a client disconnects, files of a process that ignores SIGTERM are removed too', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const place = makeRepository(gitaly);
  const stubborn = `(trap '' TERM; while mkdir -p "$GIT_OBJECT_DIRECTORY/x"; do sleep 0.1; done) &`;
  script(join(place.path, 'custom_hooks/pre-receive'), `${stubborn}\necho started\nwait`);
  const quarantines = (): string[] =>
    readdirSync(join(place.path, 'objects')).filter((name) => name.includes('incoming'));
  const leaving = new AbortController();
  const body = pushBody([`${ZERO_OID} ${place.oid} refs/heads/new`]);
  async function* requests() {
    yield { repository, glId: 'user-1', glUsername: 'jane' };
    yield { data: body };
  }

  const answers = gitaly.connection.smartHttp.postReceivePack(requests(), { signal: leaving.signal });
  await assert.rejects(
    (async () => {
      for await (const { data } of answers) if (Buffer.from(data).includes('started')) leaving.abort();
    })(),
  );

  assert.equal(quarantines().length, 1);
  await until(() => quarantines().length === 0);
  // The script that ignores SIGTERM would make it again every 0.1 s.
  await never(() => quarantines().length > 0, 'a quarantine is there again', 500);
});
