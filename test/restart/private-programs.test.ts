import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import { dial } from '#client/index';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { isAlive } from '#tools/wrapper/find-server';
import { gitOverClient } from '../git-over-client/environment.ts';

const ROOT = join(import.meta.dirname, '../..');
/** A helper that reaches the commands of a server has it copied with all of its modules. */
const MAX_COPIES = 110;
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };

test('a server survives that its package and git are replaced by something that does not work', async () => {
  const directory = makeScratchDirectory('private');
  const installed = join(directory, 'package');
  for (const name of ['default', 'run', 'tools']) mkdirSync(join(directory, name), { recursive: true });
  cpSync(join(ROOT, 'bin'), join(installed, 'bin'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'));
  cpSync(join(ROOT, 'dist'), join(installed, 'dist'), {
    recursive: true,
    filter: (path) => !['.map', '.ts'].includes(extname(path)),
  });
  for (const name of ['node_modules', '.node'])
    if (existsSync(join(ROOT, name))) symlinkSync(join(ROOT, name), join(installed, name));
  const git = join(directory, 'tools/git');
  cpSync(execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim(), git, {
    dereference: true,
  });
  writeFileSync(
    join(directory, 'config.toml'),
    `socket_path = "${directory}/gitaly.socket"\nruntime_dir = "${directory}/run"\n` +
      `prometheus_listen_addr = "127.0.0.1:0"\n[logging]\nlevel = "debug"\n[git]\nbin_path = "${git}"\n` +
      `[[storage]]\nname = "default"\npath = "${directory}/default"\n`,
  );
  const server = spawn(join(installed, 'bin/gitaly'), ['serve', join(directory, 'config.toml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: Buffer[] = [];
  for (const stream of [server.stdout, server.stderr])
    stream.on('data', (chunk: Buffer) => output.push(chunk));
  const log = (): string => Buffer.concat(output).toString();
  try {
    await until(() => log().includes('msg="Started Gitaly"'), log);
    const runtime = join(directory, 'run', readdirSync(join(directory, 'run'))[0] ?? '');
    const helper = join(runtime, 'bin/gitaly-hooks');
    await until(() => readlinkSync(helper).startsWith(runtime), 'the helpers are not copied');
    const copies = readdirSync(join(runtime, 'programs/dist'), { recursive: true, encoding: 'utf8' });
    const modules = copies.filter((name) => name.endsWith('.js'));
    assert.ok(modules.length > 10 && modules.length <= MAX_COPIES, `${modules.length} copies`);
    assert.match(log(), new RegExp(`binary_path=${runtime}/git-exec-\\w+/git `));

    await until(() => log().includes('all code is loaded'), log);
    rmSync(join(installed, 'dist'), { recursive: true });
    rmSync(join(installed, 'bin'), { recursive: true });
    rmSync(git);
    writeFileSync(git, '#!/bin/sh\nexit 1\n', { mode: 0o755 });

    const connection = await dial(`unix:${directory}/gitaly.socket`);
    await connection.repository.createRepository({ repository });
    const work = join(directory, 'work');
    await runGit(['init', '-q', '-b', 'main', work]);
    await runGit(['-C', work, 'commit', '-q', '--allow-empty', '-m', 'one']);
    await push(work, directory);
    const { commit } = await connection.commit.findCommit({ repository, revision: Buffer.from('main') });
    assert.equal(commit?.subject.toString(), 'one');
    await connection.commit.commitLanguages({ repository, revision: Buffer.from('main') }).catch(() => {});
    const monitoring = /msg="starting prometheus listener" address="([^"]+)"/.exec(log())?.[1];
    const response = await fetch(`http://${monitoring}/metrics`);
    assert.match(await response.text(), /^process_cpu_seconds_total /m);
    const version = await run(helper, ['--version'], { env: { PATH: '/usr/bin:/bin' } });
    assert.equal(version.code, 0, version.stderr);
    const smudge = await run(join(runtime, 'bin/gitaly-lfs-smudge'), [], {
      input: 'no pointer',
      env: {
        GITALY_LFS_SMUDGE_CONFIG: JSON.stringify({
          gl_repository: 'project-1',
          gitlab: { url: 'http://localhost:1', secret: 'a secret' },
          driver_type: 0,
        }),
      },
    });
    assert.deepEqual([smudge.code, smudge.stdout], [0, 'no pointer'], smudge.stderr);
    await connection.close();

    server.kill('SIGTERM');
    await until(() => server.exitCode !== null, log);
    assert.equal(server.exitCode, 0, log());
    assert.deepEqual(readdirSync(join(directory, 'run')), []);
    assert.doesNotMatch(log(), /level=error/);
  } finally {
    if (server.pid !== undefined && isAlive(server.pid)) server.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});

async function push(work: string, directory: string): Promise<void> {
  await runGit(['-C', work, 'push', '-q', 'ssh://host/a.git', 'main'], {
    cwd: ROOT,
    env: gitOverClient(`unix:${directory}/gitaly.socket`),
  });
  assert.ok(readFileSync(join(directory, 'default/a.git/HEAD'), 'utf8').length > 0);
}
