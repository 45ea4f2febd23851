// Own process: it examines the descriptors and children of the process

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { collectOutput } from '../collect-output.ts';
import type { GitProcess } from '../process/git-process.ts';
import { type ProgramOptions, spawnProgram } from '../spawn-program.ts';
import { createPosixSpawner } from './posix-spawner.ts';

const directory = makeScratchDirectory('spawner');
after(() => rmSync(directory, { recursive: true }));

const spawner = createPosixSpawner();

function script(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return file;
}

function start(file: string, options: Partial<ProgramOptions> = {}): GitProcess {
  return spawnProgram(file, { spawner, env: { PATH: '/usr/bin:/bin' }, cwd: directory, ...options });
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('a script may open /dev/stdout and /dev/stderr, which sockets do not allow', async () => {
  const run = start(script('devices', '#!/bin/sh\necho out > /dev/stdout\necho err > /dev/stderr\n'));

  assert.equal((await collectOutput(run, { maxBytes: 100 })).toString(), 'out\n');
  assert.equal(run.stderr(), 'err\n');
});

test('arguments and variables are bytes', async () => {
  const file = script('bytes', '#!/bin/sh\nprintf %s "$1$2$V"\n');
  const output = await collectOutput(
    start(file, { args: [Buffer.of(0xe9, 0xff), ''], env: { V: Buffer.of(0xfe) } }),
    {
      maxBytes: 100,
    },
  );

  assert.deepEqual(output, Buffer.of(0xe9, 0xff, 0xfe));
});

test('a program that cannot run is an error at once and leaks no descriptor', () => {
  const plain = script('plain', 'no shebang\n');
  chmodSync(plain, 0o644);
  const odd = script('odd', 'no shebang\n');
  const before = openDescriptors();

  for (let index = 0; index < 50; index++) {
    assert.throws(() => start(plain), { code: 'EACCES', message: `fork/exec ${plain}: permission denied` });
    assert.throws(() => start(odd, { extraPipes: 2, stdin: 'pipe' }), {
      code: 'ENOEXEC',
      message: `fork/exec ${odd}: exec format error`,
    });
    assert.throws(() => start('/bin/true', { cwd: join(directory, 'missing') }), { code: 'ENOENT' });
  }

  assert.equal(openDescriptors(), before);
});

test('many children at once leave no descriptor, no zombie', async () => {
  const before = openDescriptors();
  const runs = Array.from({ length: 100 }, () => start('/bin/cat', { stdin: 'pipe', extraPipes: 1 }));

  await Promise.all(runs.map((run, index) => collectOutput(run, { maxBytes: 100, input: String(index) })));
  for (const run of runs) for (const socket of run.extra) socket.destroy();
  await new Promise((resolve) => setImmediate(resolve));

  assert.equal(openDescriptors(), before);
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').trim().split(' ');
  assert.deepEqual(
    children.filter((pid) => runs.some((run) => String(run.pid) === pid)),
    [],
  );
});

test("node's own children and ours do not take each other's exit codes", async () => {
  const ours = Array.from({ length: 20 }, (_, index) =>
    start(script(`exit-${index}`, `#!/bin/sh\nexit ${index}\n`)),
  );

  for (let index = 0; index < 5; index++)
    assert.equal(execFileSync('/bin/echo', ['node']).toString(), 'node\n');

  assert.deepEqual(await Promise.all(ours.map(async (run) => (await run.exited).code)), [...ours.keys()]);
});

test('a descriptor of ours can be the output of a child, even one whose number is in the way', async () => {
  const file = join(directory, 'output');
  const fd = openSync(file, 'w');

  await start('/bin/echo', { args: ['hello'], stdout: fd }).succeeded();
  await start('/bin/sh', { args: ['-c', 'echo more'], stdout: fd, stdin: 1, extraPipes: 1 }).succeeded();

  assert.equal(readFileSync(file, 'latin1'), 'hello\nmore\n');
});

test('what a child used is known', async () => {
  const run = start('/bin/sh', { args: ['-c', 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done'] });

  const { usage } = await run.exited;

  assert.ok((usage?.userMs ?? 0) + (usage?.systemMs ?? 0) > 1);
  assert.ok((usage?.maxRssKilobytes ?? 0) > 500);
  assert.ok((usage?.minorFaults ?? 0) > 10);
});

for (const { signal, word } of [
  { signal: 'SIGSEGV', word: 'segmentation fault' },
  { signal: 'SIGABRT', word: 'aborted' },
]) {
  test(`a child killed by ${signal} says so`, async () => {
    const run = start('/bin/sh', { args: ['-c', `kill -s ${signal.slice(3)} $$`] });

    await assert.rejects(run.succeeded(), { message: `signal: ${word}`, signal });
  });
}

test('a child leads a group of its own, which ends with it', async () => {
  const run = start(script('family', '#!/bin/sh\nsleep 60 &\necho $!\nwait\n'), { killGraceMs: 100 });
  const [line]: Buffer[] = await once(run.stdout, 'data');
  const grandchild = Number(line);
  for (const pid of [run.pid, grandchild]) assert.equal(groupOf(pid), run.pid);

  run.kill();
  await run.exited;

  await until(() => groupOf(grandchild) === undefined, 'the child of the child has ended');
});

/** Returns the process group of a running process. */
function groupOf(pid: number): number | undefined {
  if (!existsSync(`/proc/${pid}/stat`)) return undefined;
  const [state, , group] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return state === 'Z' ? undefined : Number(group);
}

test('a group that ignores the request to end is killed after the grace', async () => {
  const run = start(script('stubborn', '#!/bin/sh\ntrap "" TERM\necho ready\nwhile :; do sleep 1; done\n'), {
    killGraceMs: 100,
  });
  await new Promise((resolve) => run.stdout.once('readable', resolve));

  run.kill();

  assert.equal((await run.exited).signal, 'SIGKILL');
});

for (const startsNone of [true, false, undefined]) {
  test(`a child joins its group ${startsNone ? 'after' : 'before'} its start: ${startsNone}`, async () => {
    const group = join(directory, `group-${startsNone}`);
    mkdirSync(group);
    const child = spawner.spawn({
      file: '/bin/true',
      argv: ['true'],
      env: {},
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
      extraPipes: 0,
      controlGroup: { directories: [group], fd: undefined, path: 'group' },
      startsNone,
    });

    assert.equal((await child.exited).code, 0);

    // 0 is the one who writes: a shell that becomes the program.
    const member = readFileSync(join(group, 'cgroup.procs'), 'latin1').trim();
    assert.equal(member, startsNone ? `${child.pid}` : '0');
  });
}
