import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { packet } from '#testkit/repositories/push';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import type { GitDirectory } from '../repository-files/git-directory.ts';
import { Git } from './git.ts';
import { flag, gitCommand, value } from './git-command.ts';
import type { ProcessStats } from './process/start-process.ts';
import { spawnProgram } from './spawn-program.ts';
import { createNodeSpawner } from './spawner/node-spawner.ts';
import { createPosixSpawner } from './spawner/posix-spawner.ts';

const MISSING = join(import.meta.dirname, 'no-such-program');
const directory = makeScratchDirectory('git');
after(() => rmSync(directory, { recursive: true }));

function createRepository(name: string, ...options: string[]): GitDirectory {
  const path = join(directory, name);
  execFileSync('git', ['init', '--quiet', '--bare', ...options, path]);
  return {
    path,
    objectDirectory: `${path}/objects`,
    alternateObjectDirectories: [],
    knownObjectFormat: 'sha1',
  };
}

async function collect(stream: AsyncIterable<Buffer> | undefined): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += chunk.toString();
  return text;
}

/**
 * Returns the running members of a process group. (A dead one stays a zombie until it is reaped by
 * its adoptive parent.)
 */
function runningMembers(group: number): string[] {
  return readdirSync('/proc').filter((entry) => {
    const stat = /^\d+$/.test(entry) ? statOf(entry) : '';
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return pgrp === String(group) && state !== 'Z';
  });
}

function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return ''; // it has ended since the directory was read
  }
}

function script(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

for (const spawner of [createNodeSpawner(), createPosixSpawner()]) {
  describe(`git started by ${spawner.name}`, () => {
    const started = Git.start({ binary: 'git', spawner });

    test('runs a command in a repository and gives what it prints', async () => {
      const git = await started;
      const repository = createRepository(`run-${spawner.name}`);

      const oid = await git.run(gitCommand('hash-object', { options: [flag('-w'), flag('--stdin')] }), {
        repository,
        input: 'hello\n',
      });
      const type = await git.run(
        gitCommand('cat-file', { options: [flag('-t')], args: [oid.toString().trim()] }),
        {
          repository,
        },
      );

      assert.equal(oid.toString(), 'ce013625030ba8dba906f756967f9e9ca394464a\n');
      assert.equal(type.toString(), 'blob\n');
    });

    // git needs its working directory. A program's one may go: a newer version replaces its folder.
    test('a command runs though the working directory of this process has been removed', async () => {
      const git = await started;
      const repository = createRepository(`gone-${spawner.name}`);
      const [before, gone] = [process.cwd(), join(directory, 'gone')];
      mkdirSync(gone);
      process.chdir(gone);
      try {
        rmSync(gone, { recursive: true });
        const word = gitCommand('rev-parse', { options: [flag('--is-bare-repository')] });
        assert.equal((await git.run(word, { repository })).toString(), 'true\n');
      } finally {
        process.chdir(before);
      }
    });

    test('a failing command gives its exit code, its words and its arguments', async () => {
      const git = await started;
      const repository = createRepository(`fail-${spawner.name}`);

      await assert.rejects(
        git.run(gitCommand('rev-parse', { options: [flag('--verify')], args: ['nope'] }), { repository }),
        {
          name: 'GitExitError',
          message: 'exit status 128',
          exitCode: 128,
          stderr: 'fatal: Needed a single revision\n',
        },
      );
    });

    test('a command that uses too much processor time is ended, and the error says so', async () => {
      const git = await started;
      const repository = createRepository(`cpu-${spawner.name}`);
      // Many patterns for many paths. Only git 2.39 would need years for one hard pattern.
      mkdirSync(join(repository.path, 'info'), { recursive: true });
      writeFileSync(join(repository.path, 'info/attributes'), `${'*a'.repeat(20)}b x\n`.repeat(1000));
      const input = Buffer.from(`${'a'.repeat(200)}1\n`.repeat(10_000));
      const command = gitCommand('check-attr', { options: [flag('--stdin'), flag('--all')] });

      const checking = git.run(command, { repository, input, maxCpuSeconds: 0.5 });

      const message = 'git check-attr used more than 0.5 s of processor time';
      await assert.rejects(checking, { name: 'GitalyError', code: 'RESOURCE_EXHAUSTED', message });
    });

    test('an abort ends the whole process group and says why', async () => {
      const git = await started;
      const controller = new AbortController();
      const file = script(`hang-${spawner.name}`, 'sleep 60 & sleep 60');
      const run = spawnProgram(file, {
        spawner: git.spawner,
        env: { PATH: '/usr/bin:/bin' },
        cwd: directory,
        signal: controller.signal,
      });

      await until(() => runningMembers(run.pid).length > 0);
      controller.abort();

      await assert.rejects(run.succeeded(), { message: 'signal: terminated: context canceled' });
      await until(() => runningMembers(run.pid).length === 0);
    });

    test('nothing is started once the signal is aborted', async () => {
      const git = await started;

      assert.throws(() => git.spawn(gitCommand('version'), { signal: AbortSignal.abort() }), {
        message: 'context canceled',
        code: 'CANCELLED',
      });
    });

    test('a consumer that leaves ends the process', async () => {
      const git = await started;
      let pid = 0;

      {
        await using run = git.spawn(gitCommand('hash-object', { options: [flag('--stdin')] }), {
          stdin: 'pipe',
        });
        pid = run.pid;
      }

      assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    });

    test('keeps the head of a flood of standard error, and never blocks on it', async () => {
      const git = await started;
      const file = script(`flood-${spawner.name}`, 'head -c 1000000 /dev/zero | tr "\\0" x >&2; exit 3');
      await using run = spawnProgram(file, {
        spawner: git.spawner,
        env: { PATH: '/usr/bin:/bin' },
        cwd: '/',
      });

      const exit = await run.exited;

      assert.equal(exit.code, 3);
      assert.equal(run.stderr(), 'x'.repeat(10_000));
    });

    test('the child has default signals, only its own descriptors and the given environment', async () => {
      const git = await started;
      const file = script(
        `slate-${spawner.name}`,
        'grep -E "Sig(Blk|Ign)" /proc/self/status; ls /proc/self/fd | tr "\\n" ,; echo; env; pwd; ps ' +
          '-o pgid= -p $$; echo $$',
      );
      await using run = spawnProgram(file, {
        spawner: git.spawner,
        env: { A: 'b c', PATH: '/usr/bin:/bin' },
        cwd: '/usr',
        extraPipes: 2,
      });

      const lines = (await collect(run.stdout)).split('\n');

      assert.match(lines[0] ?? '', /SigBlk:\s+0+$/);
      // child_process passes on what this process inherited: ignored signals, descriptors.
      if (spawner.name === 'posix_spawn') {
        assert.match(lines[1] ?? '', /SigIgn:\s+0+$/);
        assert.equal(lines[2], '0,1,2,3,4,5,'); // 5 is the directory that ls reads
      }
      assert.deepEqual(
        lines
          .slice(3)
          // Node adds the variable to every child while executed code is recorded.
          .filter((line) => line.includes('=') && !line.startsWith('NODE_V8_COVERAGE='))
          .map((line) => line.split('=')[0])
          .sort(),
        ['A', 'PATH', 'PWD'],
      );
      assert.ok(lines.includes('/usr'));
      assert.equal(lines.at(-3)?.trim(), lines.at(-2));
    });

    test('processes that make packs run after others, with those that they start', async () => {
      const git = await started;
      const repository = createRepository(`nice-${spawner.name}`);
      const blob = randomBytes(2_000_000);
      const oid = execFileSync('git', ['-C', repository.path, 'hash-object', '-w', '--stdin'], {
        input: blob,
      });
      const fetch = gitCommand('upload-pack', {
        options: [flag('--stateless-rpc')],
        args: [repository.path],
      });
      await using reading = git.spawn(gitCommand('cat-file', { options: [flag('--batch')] }), {
        repository,
        stdin: 'pipe',
      });
      await using serving = git.spawn(fetch, { repository, stdin: 'pipe' });

      serving.stdin.end(`${packet(`want ${oid.toString().trim()}\n`)}0000${packet('done\n')}`);

      // Nobody reads the pack, so pack-objects is waiting.
      await until(() => runningMembers(serving.pid).length === 2, 'upload-pack has started pack-objects');
      const niceness = runningMembers(serving.pid).map((pid) => getPriority(Number(pid)));
      const lowered = Math.min(getPriority() + 10, 19);
      assert.deepEqual(niceness, [lowered, lowered]);
      assert.equal(getPriority(reading.pid), getPriority());
    });

    for (const [name, options] of [
      ['repack', [flag('-a'), flag('-d'), flag('-q')]],
      ['multi-pack-index', []],
      ['commit-graph', []],
      ['prune', []],
    ] as const)
      test(`${name} runs after others: maintenance must not slow down calls`, async () => {
        const git = await started;
        const repository = createRepository(`nice-${name}-${spawner.name}`);

        await using maintaining = git.spawn(gitCommand(name, { options }), { repository });

        assert.equal(getPriority(maintaining.pid), Math.min(getPriority() + 10, 19));
      });

    test('extra pipes carry bytes both ways', async () => {
      const git = await started;
      const file = script(`extra-${spawner.name}`, 'read line <&3; echo "got $line" >&3; cat <&4 >&1');
      await using run = spawnProgram(file, {
        spawner: git.spawner,
        env: { PATH: '/usr/bin:/bin' },
        cwd: '/',
        extraPipes: 2,
      });

      run.extra[0]?.write('hello\n');
      run.extra[1]?.end('tail');
      const [answer, tail] = await Promise.all([collect(run.extra[0]), collect(run.stdout), run.succeeded()]);

      assert.equal(answer, 'got hello\n');
      assert.equal(tail, 'tail');
    });

    test('a large stream passes with back-pressure', async () => {
      const git = await started;
      const file = script(`large-${spawner.name}`, 'cat');
      await using run = spawnProgram(file, {
        spawner: git.spawner,
        env: { PATH: '/usr/bin:/bin' },
        cwd: '/',
        stdin: 'pipe',
      });
      let length = 0;

      const writing = (async () => {
        for (let i = 0; i < 200; i++)
          if (!run.stdin.write(Buffer.alloc(65_536)))
            await new Promise((resolve) => run.stdin.once('drain', resolve));
        run.stdin.end();
      })();
      for await (const chunk of run.stdout as AsyncIterable<Buffer>) length += chunk.length;
      await Promise.all([writing, run.succeeded()]);

      assert.equal(length, 200 * 65_536);
    });

    test('the scope of a process is left when it has ended, which SIGTERM may delay', async () => {
      const git = await started;
      const file = script(`late-${spawner.name}`, `trap 'sleep 0.3; exit' TERM; echo ready; read line`);
      let pid = 0;
      {
        await using run = spawnProgram(file, {
          spawner: git.spawner,
          env: { PATH: '/usr/bin:/bin' },
          cwd: '/',
          stdin: 'pipe',
        });
        pid = run.pid;
        await once(run.stdout, 'data');
      }

      assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    });

    test('a program that is not there is an error at once', async () => {
      const git = await started;

      assert.throws(() => spawnProgram(MISSING, { spawner: git.spawner, env: {}, cwd: '/' }), {
        name: 'SpawnError',
        code: 'ENOENT',
        message: `fork/exec ${MISSING}: no such file or directory`,
      });
    });

    test('a setting that holds NUL is refused, and not cut there', async () => {
      const git = await started;

      await assert.rejects(
        git.run(gitCommand('version'), { config: [{ key: 'user.name', value: 'jane\0doe' }] }),
        /detected null byte in command argument/,
      );
    });

    test('observers learn of the start and of the end', async () => {
      const git = await started;
      const seen: ProcessStats[] = [];

      await git.run(gitCommand('version'), { observer: () => (stats) => seen.push(stats) });

      assert.equal(seen[0]?.subcommand, 'version');
      assert.equal(seen[0]?.exit.code, 0);
      assert.ok((seen[0]?.exit.realMs ?? 0) > 0);
    });

    test('eight children at once are all reaped', async () => {
      const git = await started;

      const runs = await Promise.all(Array.from({ length: 8 }, () => git.run(gitCommand('version'))));

      assert.equal(new Set(runs.map(String)).size, 1);
    });
  });
}

test('a command that may change references needs to know about hooks', async () => {
  const git = await Git.start({ binary: 'git' });

  assert.throws(() => git.spawn(gitCommand('update-ref', { options: [flag('--stdin')] })), {
    message: 'subcommand "update-ref": hook payload is required but not configured',
  });
});

test('a git that is too old is refused with what is needed', async () => {
  const old = script('old-git', 'echo git version 2.38.1');

  await assert.rejects(Git.start({ binary: old }), {
    message: `unsupported Git version: "2.38.1" (${old}); 2.39 or newer is needed`,
  });
});

test('a command has its configuration in order of precedence, and no secret in its arguments', async () => {
  const file = script(
    'print-git',
    'if [ "$1" = version ]; then echo git version 2.39.5; else printf "%s\\n" "$@"; env; fi',
  );
  const git = await Git.start({ binary: file, config: [{ key: 'core.fsync', value: 'none' }] });

  const output = await git.run(
    gitCommand('rev-list', { options: [value('--max-count', 1)], revisions: ['--all'], paths: ['-x'] }),
    {
      config: [
        { key: 'a.b', value: 'c=d' },
        { key: 'http.https://x/.extraHeader', value: 'Authorization: secret', secret: true },
      ],
    },
  );

  const lines = output.toString().split('\n');
  assert.deepEqual(lines.slice(0, 2), ['-c', 'gc.auto=0']);
  assert.ok(lines.indexOf('a.b=c=d') < lines.lastIndexOf('core.fsync=none'));
  const at = lines.indexOf('rev-list');
  assert.deepEqual(lines.slice(at, at + 6), ['rev-list', '--max-count', '1', '--all', '--', '-x']);
  assert.deepEqual(
    lines.filter((line) => line.includes('secret')),
    ['GIT_CONFIG_VALUE_0=Authorization: secret'],
  );
  assert.ok(lines.includes('GIT_CONFIG_GLOBAL=/dev/null'));
});
