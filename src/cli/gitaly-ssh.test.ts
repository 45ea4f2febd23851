import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { TEST_CERTIFICATE } from '#testkit/fixtures/test-certificate';
import { programCommand, sourceCommand } from '#testkit/programs/program-command';
import { runGit } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { ObjectFormat } from '#wire/gen/shared_pb';

const PROGRAM = programCommand('gitaly-ssh');
const ROOT = join(import.meta.dirname, '../..');
const TOKEN = 'the secret of the server';
const REPOSITORY = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };

/** Returns the environment that Gitaly sets for git. */
function environment(
  address: string,
  command: string,
  payload: object = { repository: REPOSITORY },
): Record<string, string> {
  return {
    GIT_SSH_COMMAND: `"${process.execPath}" ${PROGRAM.join(' ')} ${command}`,
    GIT_SSH_VARIANT: 'simple',
    GITALY_ADDRESS: address,
    GITALY_TOKEN: TOKEN,
    GITALY_PAYLOAD: JSON.stringify(payload),
    GITALY_WD: ROOT,
  };
}

function gitalySsh(args: readonly string[], env: Record<string, string> = {}): Promise<RunResult> {
  return run(process.execPath, [...PROGRAM, ...args], {
    env: { GITALY_ADDRESS: '', ...env },
    cwd: ROOT,
  });
}

/** Returns a log line without its time and process. */
const line = (stderr: string): string => stderr.replace(/^time="[^"]+" /, '').replace(/ pid=\d+\n$/, '');

suite('git by way of gitaly-ssh', () => {
  let gitaly: TestGitaly;
  let directory: string;
  let work: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'gitaly-ssh-'));
    work = join(directory, 'work');
    gitaly = await startGitaly({ token: TOKEN, tcp: true, tls: true });
    await gitaly.connection.repository.createRepository({
      repository: REPOSITORY,
      objectFormat: ObjectFormat.SHA256,
    });
    await runGit(['init', '-q', '-b', 'main', '--object-format=sha256', work]);
    writeFileSync(join(work, 'file'), 'text\n'.repeat(50_000));
    await runGit(['-C', work, 'add', '.']);
    await runGit(['-C', work, 'commit', '-q', '-m', 'one']);
    const env = environment(gitaly.address, 'receive-pack', {
      repository: REPOSITORY,
      gl_id: 'user-1',
      glUsername: 'ann',
    });
    await runGit(['-C', work, 'push', '-q', 'gitaly:a.git', 'main'], { cwd: ROOT, env });
  });
  after(async () => {
    await gitaly[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  test('a push succeeds', async () => {
    const path = join(gitaly.storagePath(), 'a.git');

    assert.equal(
      await runGit(['-C', path, 'rev-parse', 'main']),
      await runGit(['-C', work, 'rev-parse', 'main']),
    );
    await runGit(['-C', path, 'fsck', '--full', '--strict']);
  });

  for (const kind of ['unix', 'tcp', 'tls'] as const) {
    test(`a clone over ${kind}`, async () => {
      const address = gitaly.addresses[kind] ?? '';
      const target = join(directory, kind);

      const env = {
        ...environment(address.replace('127.0.0.1', 'localhost'), 'upload-pack'),
        SSL_CERT_FILE: TEST_CERTIFICATE,
      };
      await runGit(['clone', '-q', 'gitaly:a.git', target], { cwd: ROOT, env });

      assert.equal(
        await runGit(['-C', target, 'rev-parse', 'HEAD']),
        await runGit(['-C', work, 'rev-parse', 'HEAD']),
      );
    });
  }

  test('a clone without GIT_SSH_VARIANT, where git first detects the kind of ssh', async () => {
    const { GIT_SSH_VARIANT: _, ...env } = environment(gitaly.address, 'upload-pack');

    await runGit(['clone', '-q', 'gitaly:a.git', join(directory, 'auto')], { cwd: ROOT, env });
  });

  test("an archive equals git's", async () => {
    const env = environment(gitaly.address, 'upload-archive');

    const remote = await runGit(['archive', '--remote=gitaly:a.git', '--format=tar', 'main'], {
      cwd: ROOT,
      env,
    });

    assert.equal(remote, await runGit(['-C', work, 'archive', '--format=tar', 'main']));
  });

  test('references that the server hides are shown, unless the request hides them', async () => {
    const path = join(gitaly.storagePath(), 'a.git');
    const oid = await runGit(['-C', path, 'rev-parse', 'main']);
    await runGit(['-C', path, 'update-ref', 'refs/keep-around/x', oid]);
    const list = (payload?: object) =>
      runGit(['ls-remote', 'gitaly:a.git', 'refs/keep-around/*'], {
        cwd: ROOT,
        env: environment(gitaly.address, 'upload-pack', payload),
      });

    assert.equal(await list(), `${oid}\trefs/keep-around/x`);
    assert.equal(
      await list({ repository: REPOSITORY, gitConfigOptions: ['transfer.hideRefs=refs/keep-around'] }),
      '',
    );
  });

  test('feature flags and the correlation id are sent with the call', async () => {
    const env = {
      ...environment(gitaly.address, 'upload-pack'),
      GITALY_FEATUREFLAGS: 'some_flag:true,other:0,broken,half:maybe',
      CORRELATION_ID: 'from-the-environment',
    };

    await runGit(['ls-remote', 'gitaly:a.git'], { cwd: ROOT, env });

    const call = gitaly.log.find(
      (entry) => entry['grpc.code'] === 'OK' && entry.correlation_id === 'from-the-environment',
    );
    assert.equal(call?.['grpc.method'], 'SSHUploadPackWithSidechannel');
    assert.equal(call?.feature_flags, 'some_flag');
  });

  test('a socket path is relative to GITALY_WD', async () => {
    const env = { ...environment('unix:gitaly.socket', 'upload-pack'), GITALY_WD: gitaly.directory };

    assert.notEqual(await runGit(['ls-remote', 'gitaly:a.git'], { cwd: ROOT, env }), '');
  });

  test('a reader that disconnects ends the call, and the server continues', async () => {
    for (const [command, payload] of [
      ['upload-pack', { repository: REPOSITORY }],
      ['receive-pack', { repository: REPOSITORY, glId: 'user-1' }],
    ] as const) {
      const line = `"${process.execPath}" ${PROGRAM.join(' ')} ${command} x y </dev/null | true`;

      const { stderr } = await run('sh', ['-c', line], {
        env: environment(gitaly.address, command, payload),
        cwd: ROOT,
      });

      assert.doesNotMatch(stderr, /\n {4}at /, 'a stack trace');
    }
    await gitaly.connection.health.check({});
  });

  test('a missing repository and a wrong token are errors', async () => {
    const missing = environment(gitaly.address, 'upload-pack', {
      repository: { ...REPOSITORY, relativePath: 'none.git' },
    });
    const stranger = { ...environment(gitaly.address, 'upload-pack'), GITALY_TOKEN: 'of a stranger' };

    const first = await gitalySsh(['upload-pack', 'gitaly', 'x'], missing);
    const second = await gitalySsh(['upload-pack', 'gitaly', 'x'], stranger);

    assert.equal(first.code, 1);
    assert.match(
      line(first.stderr),
      /^level=info msg="command returned error" command\.name=upload-pack error="rpc error: code = NotFound desc = /,
    );
    assert.equal(second.code, 1);
    assert.match(second.stderr, /error="rpc error: code = PermissionDenied desc = permission denied/);
    assert.doesNotMatch(second.stderr, /stranger/);
  });
});

test('incomplete and unknown arguments are errors with Gitaly’s messages', async () => {
  const errors = [
    { args: [], text: 'level=error msg="invalid number of arguments, expected at least 1, got 0"' },
    {
      args: ['upload-pack', 'x'],
      text: 'level=error msg="invalid number of arguments, expected at least 1, got 2"',
    },
    {
      args: ['fetch-pack', 'x', 'y'],
      text: String.raw`level=error msg="invalid pack command: \"fetch-pack\""`,
    },
    {
      args: ['constructor', 'x', 'y'],
      text: String.raw`level=error msg="invalid pack command: \"constructor\""`,
    },
    {
      args: ['upload-archive', 'x', 'y'],
      text:
        'level=info msg="command returned error" command.name=upload-archive error="gitaly address ' +
        'can not be empty"',
    },
    {
      args: ['upload-pack', 'x', 'y'],
      env: { GITALY_WD: '/no/such/directory' },
      text:
        'level=info msg="command returned error" command.name=upload-pack error="unable to chdir ' +
        'to /no/such/directory"',
    },
  ];
  for (const { args, env, text } of errors) {
    const { code, stdout, stderr } = await gitalySsh(args, env);

    assert.deepEqual([code, stdout, line(stderr)], [1, '', text]);
  }
  const { code, stderr } = await gitalySsh(['receive-pack', 'x', 'y'], {
    GITALY_ADDRESS: 'unix:/nowhere',
    GITALY_PAYLOAD: '{',
  });
  assert.equal(code, 1);
  assert.match(line(stderr), /command\.name=receive-pack error="json unmarshal: /);
});

test('it loads the generated code of only its own service, because git waits for its start', async () => {
  const hook = `
    import { registerHooks } from 'node:module';
    const load = (url, context, next) => (url.includes('/wire/gen/') && console.log(url), next(url, context));
    registerHooks({ load });`;

  const { stdout } = await run(
    process.execPath,
    [
      `--import=data:text/javascript,${encodeURIComponent(hook)}`,
      ...sourceCommand('gitaly-ssh'),
      'upload-pack',
      'a',
      'b',
    ],
    { cwd: ROOT },
  );

  const loaded = [...stdout.matchAll(/\/wire\/gen\/(.+)\.js$/gm)].map(([, name]) => name).sort();
  assert.deepEqual(loaded, [
    'errors_pb',
    'google/rpc/status_pb',
    'lint_pb',
    'packfile_pb',
    'shared_pb',
    'ssh_pb',
    'versions_pb',
  ]);
});
