import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { programCommand } from '#testkit/programs/program-command';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { type RunResult, run } from '#testkit/run-program';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const PROGRAM = programCommand('gitaly-backup');
const REPOSITORIES = 8;

suite('gitaly-backup', () => {
  let gitaly: TestGitaly;
  let jobs: string;
  let backups: string;
  before(async () => {
    gitaly = await startGitaly();
    backups = join(gitaly.directory, 'backups');
    const names = Array.from({ length: REPOSITORIES }, (_, number) => `${number}.git`);
    for (const name of names) initServed(gitaly, name, { commits: 2 });
    jobs = names
      .map((name) =>
        JSON.stringify({ address: gitaly.address, storage_name: 'default', relative_path: name }),
      )
      .join('\n');
  });
  after(() => gitaly.close());

  const gitalyBackup = (
    args: readonly string[],
    { input = jobs, signal }: RunInput = {},
  ): Promise<RunResult> => run(process.execPath, [...PROGRAM, ...args], { input, ...(signal && { signal }) });
  const manifests = (): string[] =>
    existsSync(join(backups, 'manifests'))
      ? readdirSync(join(backups, 'manifests'), { recursive: true, encoding: 'utf8' }).filter((name) =>
          /^default\/\d+\.git\/\d{14}\.toml$/.test(name),
        )
      : [];

  test('a program that is killed leaves whole backups; the next one completes them', async () => {
    const whole = stateOfAll(gitaly);
    for (const wanted of [1, 4]) {
      const kill = new AbortController();
      const before = manifests().length;
      const running = gitalyBackup(['create', '-path', backups, '-parallel=1'], { signal: kill.signal });
      await until(() => manifests().length >= before + wanted, 'some backups are made');
      kill.abort();
      assert.equal((await running).code, null, 'it was killed');

      // Each backup that has a manifest can be restored.
      const names = new Set(manifests().map((name) => name.split('/')[1]));
      const input = jobs.split('\n').filter((job) => names.has(JSON.parse(job).relative_path));
      const restored = await gitalyBackup(['restore', '-path', backups], { input: input.join('\n') });
      assert.equal(restored.code, 0, restored.stdout);
      assert.deepEqual(stateOfAll(gitaly), whole);
    }
    const { code, stdout } = await gitalyBackup(['create', '-path', backups, '-parallel=3']);

    assert.equal(code, 0, stdout);
    assert.equal(stdout.match(/"msg":"completed create"/g)?.length, REPOSITORIES);
    assert.ok(manifests().length >= REPOSITORIES);
    const states = stateOfAll(gitaly);
    for (const name of readdirSync(gitaly.storagePath()).filter((each) => each.endsWith('.git')))
      rmSync(join(gitaly.storagePath(), name), { recursive: true });
    const restored = await gitalyBackup(['restore', '-path', backups]);
    assert.equal(restored.code, 0, restored.stdout);
    assert.deepEqual(stateOfAll(gitaly), states);
  });

  // The token in such a file opens the server to every user of the machine.
  test('a file of jobs with tokens that others can read is named in a warning', async () => {
    const file = join(gitaly.directory, 'jobs.json');
    const warnings = async (job: object, mode: number): Promise<string[]> => {
      writeFileSync(file, JSON.stringify({ address: gitaly.address, ...job }));
      chmodSync(file, mode);
      const script = `exec "$@" < '${file}'`;
      const { stdout } = await run('sh', [
        '-c',
        script,
        '-',
        process.execPath,
        ...PROGRAM,
        'create',
        '-path',
        backups,
      ]);
      return stdout.split('\n').filter((line) => line.includes('chmod 600'));
    };
    const job = { storage_name: 'default', relative_path: '0.git' };

    const [warning, ...others] = await warnings({ ...job, token: 'a secret' }, 0o644);
    assert.equal(
      JSON.parse(warning ?? '{}').msg,
      `${file} has tokens, and other users can read it. Protect it with: chmod 600 ${file}`,
    );
    assert.deepEqual(others, []);
    assert.deepEqual(await warnings({ ...job, token: 'a secret' }, 0o600), []);
    assert.deepEqual(await warnings(job, 0o644), []);
  });

  test('the exit code is 1 if a repository fails, and the last line of the log lists it', async () => {
    const input = '{"storage_name":"default","relative_path":"x.git"}';
    const { code, stdout, stderr } = await gitalyBackup(['create', '-path', backups], { input });

    assert.deepEqual([code, stderr], [1, '']);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ level }) => level),
      ['info', 'error', 'error'],
    );
    assert.match(lines[2].msg, /^create: pipeline: 1 failures encountered:\n - x\.git: manager: /);
  });

  for (const [args, expected] of [
    [['--version'], { code: 0, stdout: /^Gitaly Backup, version / }],
    [['create', '-help'], { code: 0, stdout: /--server-side/ }],
    [['create'], { code: 1, stdout: /create: -path is missing/ }],
    [['create', '-server-side=true', '-path', '/x'], { code: 1, stdout: /path cannot be used/ }],
    [['create', '-server-side=false', '-incremental=F'], { code: 1, stdout: /create: -path is missing/ }],
    [['create', '-server-side=maybe'], { code: 1, stderr: /Incorrect Usage: / }],
    [['create', '-path', '/x', '-parallel', 'many'], { code: 1, stderr: /no number/ }],
    [['restore', '-bogus'], { code: 1, stderr: /flag provided but not defined: -bogus/ }],
    [['create', '-path', 'ftp://x'], { code: 1, stdout: /create: resolve sink: .*\\"ftp\\"/ }],
    [['partition', 'create', '-timeout', 'soon'], { code: 1, stderr: /no duration/ }],
    [['partition', 'create'], { code: 1, stdout: /set GITALY_SERVERS/ }],
  ] as const)
    test(`${args.join(' ')} has exit code ${expected.code}`, async () => {
      const { code, stdout, stderr } = await gitalyBackup(args, { input: '' });

      assert.equal(code, expected.code);
      assert.match(stdout, 'stdout' in expected ? expected.stdout : /^/);
      assert.match(stderr, 'stderr' in expected ? expected.stderr : /^$/);
    });
});

interface RunInput {
  readonly input?: string;
  readonly signal?: AbortSignal;
}

function stateOfAll(gitaly: TestGitaly): string[] {
  return readdirSync(gitaly.storagePath())
    .filter((name) => name.endsWith('.git'))
    .map((name) => {
      const path = join(gitaly.storagePath(), name);
      gitOutput(path, ['fsck', '--full']);
      return `${name} ${gitOutput(path, ['for-each-ref'])}`;
    });
}
