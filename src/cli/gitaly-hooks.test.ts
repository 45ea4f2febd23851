import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { HooksPayload } from '#domain/hooks/payload';
import { programCommand } from '#testkit/programs/program-command';
import { runGit } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { startInternalApi } from '#testkit/servers/internal-api';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { encodeHooksPayload } from '#testkit/values/hooks-payload';

const PROGRAM = programCommand('gitaly-hooks');
/** For a shell. */
const COMMAND = [process.execPath, ...PROGRAM].map((word) => `"${word}"`).join(' ');
const ROOT = join(import.meta.dirname, '../..');
const REPOSITORY = {
  storageName: 'default',
  relativePath: 'r.git',
  glRepository: 'project-1',
  glProjectPath: 'g/p',
};
const FAILED = 'error executing git hook\n';
const CHANGE = `${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/main\n`;
const TOKEN = 'of the server';

interface Place extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly repository: string;
  readonly logs: string;
  /** Runs the program under a name, by default its own. */
  run(
    args: readonly string[],
    options?: { as?: string; input?: string; env?: Record<string, string> },
  ): Promise<RunResult>;
  payload(overrides?: Partial<HooksPayload>): string;
  /** Installs a custom hook of the server. */
  script(hook: string, text: string): void;
  /** Returns the program's log since the last call. */
  logged(): string;
}

async function place(options: Parameters<typeof startGitaly>[0] = {}): Promise<Place> {
  const gitaly = await startGitaly({ customHooks: true, token: TOKEN, ...options });
  const logs = mkdtempSync(join(tmpdir(), 'gitaly-hooks-'));
  const repository = join(gitaly.storagePath(), 'r.git');
  await gitaly.connection.repository.createRepository({ repository: REPOSITORY });
  const runtime = join(gitaly.directory, 'run', readdirSync(join(gitaly.directory, 'run'))[0] ?? '');
  const payload = (overrides: Partial<HooksPayload> = {}): string =>
    encodeHooksPayload({
      requestedHooks: 63,
      featureFlags: [{ name: 'some_flag', onByDefault: false, enabled: true }],
      repository: REPOSITORY,
      objectFormat: 'sha1',
      runtimeDirectory: runtime,
      internalSocket: join(runtime, 'sock.d/intern'),
      internalSocketToken: TOKEN,
      transaction: undefined,
      user: { username: 'jane', userId: 'user-1', protocol: 'ssh', remoteIp: '192.0.2.7' },
      transactionId: 0,
      clientContext: undefined,
      ...overrides,
    });
  return {
    gitaly,
    repository,
    logs,
    payload,
    run: (args, { as, input = '', env = {} } = {}) =>
      run(process.execPath, [...(as === undefined ? [] : [`--title=${as}`]), ...PROGRAM, ...args], {
        cwd: ROOT,
        input,
        env: { GITALY_HOOKS_PAYLOAD: payload(), GITALY_LOG_DIR: logs, CORRELATION_ID: 'from-git', ...env },
      }),
    script(hook, text) {
      const path = join(gitaly.directory, `custom_hooks/${hook}.d/1`);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    },
    logged() {
      const path = join(logs, 'gitaly_hooks.log');
      const text = readdirSync(logs).length === 0 ? '' : readFileSync(path, 'utf8');
      rmSync(path, { force: true });
      return text;
    },
    async [Symbol.asyncDispose]() {
      rmSync(logs, { recursive: true });
      await gitaly[Symbol.asyncDispose]();
    },
  };
}

test("pre-receive and post-receive forward their input, and print the scripts' output", async () => {
  await using at = await place();
  const env = { GIT_PUSH_OPTION_COUNT: '2', GIT_PUSH_OPTION_0: 'one', GIT_PUSH_OPTION_1: 'two words' };
  for (const hook of ['pre-receive', 'post-receive']) {
    at.script(
      hook,
      'cat; echo "$GL_ID $GL_USERNAME $GL_PROTOCOL $GIT_PUSH_OPTION_1"; echo to stderr >&2; [ -z ' +
        '"$GITALY_HOOKS_PAYLOAD" ]',
    );

    const asLink = await at.run([], { as: hook, input: CHANGE, env });
    const asWord = await at.run([hook], { input: CHANGE, env });

    const expected = { code: 0, stdout: `${CHANGE}user-1 jane ssh two words\n`, stderr: 'to stderr\n' };
    assert.deepEqual([asLink, asWord], [expected, expected]);
  }
  assert.equal(at.logged(), '');
  const call = at.gitaly.log.find((line) => line['grpc.method'] === 'PreReceiveHook');
  assert.deepEqual(
    [
      call?.correlation_id,
      call?.username,
      call?.user_id,
      call?.remote_ip,
      call?.feature_flags,
      call?.['grpc.meta.client_name'],
    ],
    ['from-git', 'jane', 'user-1', '192.0.2.7', 'some_flag', 'gitaly-hooks'],
  );
});

test('update gets three arguments, and the program returns a script’s exit code', async () => {
  await using at = await place();
  at.script('update', 'echo "$@"; exit 7');
  const args = ['refs/heads/main', '0'.repeat(40), '1'.repeat(40)];

  assert.deepEqual(await at.run(args, { as: 'update' }), {
    code: 7,
    stdout: `${args.join(' ')}\n`,
    stderr: '',
  });
  assert.deepEqual(await at.run(['one'], { as: 'update' }), { code: 1, stdout: '', stderr: FAILED });
  assert.match(
    at.logged(),
    /level=error msg="error executing git hook" component=gitaly-hooks correlation_id=from-git error="update hook expects exactly three arguments, got \[\\"one\\"\]"/,
  );
});

test('a refusal of GitLab is shown unchanged', async () => {
  await using api = await startInternalApi();
  await using at = await place({ internalApi: api });
  api.reset({ '/allowed': [401, { message: '401 Unauthorized' }] });

  const { code, stderr } = await at.run([], { as: 'pre-receive', input: CHANGE });

  assert.equal(code, 1);
  assert.match(stderr, /^GitLab: /);
});

test('reference-transaction takes one state, and preparing makes no call', async () => {
  await using at = await place();
  const stopped = at.payload({ internalSocket: '/nowhere' });

  assert.equal((await at.run(['prepared'], { as: 'reference-transaction', input: CHANGE })).code, 0);
  assert.equal(
    (await at.run(['preparing'], { as: 'reference-transaction', env: { GITALY_HOOKS_PAYLOAD: stopped } }))
      .code,
    0,
  );
  assert.equal((await at.run([], { as: 'reference-transaction' })).stderr, FAILED);
  assert.match(at.logged(), /reference-transaction hook is missing required arguments, got \[\]/);
  assert.equal((await at.run(['done'], { as: 'reference-transaction' })).stderr, FAILED);
  assert.match(at.logged(), /reference-transaction hook has invalid state: \\"done\\"/);
  assert.equal((await at.run(['x'], { as: 'proc-receive' })).stderr, FAILED);
  assert.match(at.logged(), /proc-receive hook does not accept arguments, got 1/);
});

test('a hook that the payload does not request does nothing, without dialling', async () => {
  await using at = await place();
  const env = { GITALY_HOOKS_PAYLOAD: at.payload({ requestedHooks: 1, internalSocket: '/nowhere' }) };

  assert.deepEqual(await at.run([], { as: 'pre-receive', input: CHANGE, env }), {
    code: 0,
    stdout: '',
    stderr: '',
  });
  assert.deepEqual(await at.run(['git', 'pack-objects', '--stdout'], { env }), {
    code: 0,
    stdout: '',
    stderr: '',
  });
});

test('an internal failure is logged, and the user sees only that there was one', async () => {
  await using at = await place();
  for (const { args, as, env, reason } of [
    {
      args: [],
      as: 'pre-receive',
      env: { GITALY_HOOKS_PAYLOAD: '' },
      reason: /error when getting hooks payload: /,
    },
    {
      args: [],
      as: 'pre-receive',
      env: { GITALY_HOOKS_PAYLOAD: at.payload({ internalSocket: '/nowhere' }) },
      reason: /error when receiving data for pre-receive hook: .*no such file/,
    },
    { args: [], as: 'post-update', reason: /subcommand name invalid: \\"post-update\\"/ },
    { args: ['constructor'], reason: /subcommand name invalid: \\"constructor\\"/ },
    { args: [], reason: /requires hook name\. args: \[gitaly-hooks\]/ },
    {
      args: ['git', 'pack-objects'],
      env: { GITALY_HOOKS_PAYLOAD: at.payload({ runtimeDirectory: '/nowhere' }) },
      reason: /RPC failed: SetupSidechannel: /,
    },
  ] as const) {
    const result = await at.run(args, { ...(as && { as }), env: env ?? {} });

    assert.deepEqual(result, { code: 1, stdout: '', stderr: FAILED });
    const log = at.logged();
    assert.match(log, reason);
    assert.doesNotMatch(log, /of the server/);
  }
});

test('the log is written to the descriptor from the server', async () => {
  await using at = await place();
  const file = join(at.logs, 'descriptor');
  const line = `${COMMAND} wrong 7>"${file}"`;

  await run('sh', ['-c', line], {
    cwd: ROOT,
    env: { GITALY_LOG_CONFIGURATION: '{"FileDescriptor":7,"Config":{"Format":"json"}}' },
  });

  assert.equal(JSON.parse(readFileSync(file, 'utf8')).error, 'subcommand name invalid: "wrong"');
});

test('git upload-pack gets its packs from the server through the pack-objects hook', async () => {
  await using at = await place();
  const blob = await runGit(['-C', at.repository, 'hash-object', '-w', '--stdin'], {
    input: randomBytes(3 << 20),
  });
  const tree = await runGit(['-C', at.repository, 'mktree'], { input: `100644 blob ${blob}\tfile\n` });
  const oid = await runGit(['-C', at.repository, 'commit-tree', '-m', 'one', tree]);
  await runGit(['-C', at.repository, 'update-ref', 'refs/heads/main', oid]);
  const wrapper = join(at.logs, 'hook');
  writeFileSync(wrapper, `#!/bin/sh\nexec ${COMMAND} "$@"\n`, { mode: 0o755 });
  const env = { GITALY_HOOKS_PAYLOAD: at.payload() };
  const serve =
    `cd "${ROOT}" && GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=uploadpack.packObjectsHook ` +
    `GIT_CONFIG_VALUE_0="${wrapper}" git upload-pack`;
  const clone = join(at.logs, 'clone');

  await runGit(['clone', '-q', '-u', `sh -c '${serve} "$1"' sh`, `file://${at.repository}`, clone], {
    env,
    cwd: ROOT,
  });

  assert.equal(await runGit(['-C', clone, 'rev-parse', 'HEAD']), oid);
  await runGit(['-C', clone, 'fsck', '--full', '--strict']);
  assert.ok(
    at.gitaly.log.some(
      (line) => line['grpc.method'] === 'PackObjectsHookWithSidechannel' && line['grpc.code'] === 'OK',
    ),
  );
  assert.deepEqual(
    readdirSync(
      join(at.gitaly.directory, 'run', readdirSync(join(at.gitaly.directory, 'run'))[0] ?? '', 'chan.d'),
    ),
    [],
  );
});

test('check prints the messages of 15.0', async () => {
  await using api = await startInternalApi();
  await using at = await place({ internalApi: api });
  const config = join(at.logs, 'config.toml');
  const base =
    `socket_path = "${at.logs}/s"\n[[storage]]\nname = "default"\n` + `path = "${at.gitaly.storagePath()}"\n`;
  writeFileSync(config, `${base}[gitlab]\nurl = "${api.url}"\nsecret = "${api.secret}"\n`);

  const good = await at.run(['check', config]);
  api.reset({ '/check': [500, { message: 'database is down' }] });
  const bad = await at.run(['check', config]);
  const none = await at.run(['check']);
  const wrong = await at.run(['check', '/no/such/file']);

  assert.equal(good.code, 0);
  assert.equal(good.stdout.split('\n')[0], 'Checking GitLab API access: OK');
  assert.match(good.stdout, /\nRedis reachable for GitLab: true\nOK\n$/);
  assert.deepEqual([bad.code, bad.stdout], [1, 'Checking GitLab API access: FAIL\n']);
  assert.match(bad.stderr, /database is down/);
  assert.deepEqual(none, {
    code: 1,
    stdout: '',
    stderr: 'no configuration file path provided invoke with: gitaly-hooks check <config_path>',
  });
  assert.deepEqual([wrong.code, wrong.stdout], [1, 'Checking GitLab API access: FAIL\n']);
});
