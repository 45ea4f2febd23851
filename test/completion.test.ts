import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { programCommand } from '#testkit/programs/program-command';
import { run } from '#testkit/run-program';

const ROOT = join(import.meta.dirname, '..');
const PROGRAM = programCommand('gitaly-ts');

async function gitalyTs(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(process.execPath, [...PROGRAM, ...args], { cwd: ROOT });
  assert.equal(code, 0, stderr);
  return stdout;
}

/**
 * Starts an interactive bash at a terminal, in which `gitaly-ts` prints its arguments, each in
 * `<>`.
 */
async function startBash(directory: string) {
  const command = 'bash --norc --noprofile -i';
  const env = { ...process.env, PS1: '', TERM: 'dumb', INPUTRC: '/dev/null', HOME: directory };
  const child = spawn('script', ['-qc', command, '/dev/null'], { cwd: directory, env });
  const exited = once(child, 'exit');
  let printed = '';
  child.stdout.on('data', (chunk) => {
    printed += chunk;
  });
  /** Types a line and returns the shell's output up to the end of the command. */
  let lines = 0;
  const type = async (line: string): Promise<string> => {
    const mark = `end-${++lines}`;
    printed = '';
    child.stdin.write(`${line}\necho ${mark.replace('-', '"-"')}\n`);
    const limit = AbortSignal.timeout(20_000);
    while (!printed.includes(mark)) await once(child.stdout, 'data', { signal: limit });
    return printed;
  };
  await type('gitaly-ts() { printf "<%s>" "$@"; echo; }; source ./completion');
  return {
    /** Returns the arguments of a line after its tabs are completed. */
    complete: async (line: string): Promise<string> =>
      /^((<[^<>]*>)+)\r?$/m.exec(await type(line))?.[1] ?? '',
    async [Symbol.asyncDispose]() {
      child.stdin.end('exit\n');
      await exited;
    },
  };
}

test('bash completes commands, options, choices and paths', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'completion-'));
  try {
    writeFileSync(join(directory, 'completion'), await gitalyTs('completion', 'bash'));
    mkdirSync(join(directory, 'some repositories/inner'), { recursive: true });
    await using bash = await startBash(directory);

    assert.equal(
      await bash.complete('gitaly-ts imp\t --rec\t so\tin\t --to so\t'),
      '<import><--recursive><some repositories/inner/><--to><some repositories/>',
    );
    assert.equal(await bash.complete('gitaly-ts doc\t --js\t'), '<doctor><--json>');
    assert.equal(await bash.complete('gitaly-ts completion f\t'), '<completion><fish>');
    assert.equal(await bash.complete('gitaly-ts --vers\t'), '<--version>');
    // Of nested commands it offered --help alone; `worker` is hidden from the help.
    assert.equal(
      await bash.complete('gitaly-ts token cre\t ci --acc\t read'),
      '<token><create><ci><--access><read>',
    );
    assert.equal(await bash.complete('gitaly-ts work\t'), '<work>');
    // Options are those of the command, and words that are values of options are no commands.
    assert.equal(await bash.complete('gitaly-ts token --acc\t'), '<token><--acc>');
    assert.equal(await bash.complete('gitaly-ts token issue --acc\t'), '<token><issue><--access>');
    assert.equal(
      await bash.complete('gitaly-ts backup --to list --incr\t res\t --rep\t'),
      '<backup><--to><list><--incremental><restore><--rep>',
    );
    assert.equal(await bash.complete('gitaly-ts repo expire a --nev\t'), '<repo><expire><a><--never>');
    assert.equal(await bash.complete('gitaly-ts repo list --nev\t'), '<repo><list><--nev>');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('bash completes gitaly, with the commands of commands', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'completion-'));
  try {
    writeFileSync(join(directory, 'completion'), await gitalyTs('completion', 'bash', 'gitaly'));
    writeFileSync(join(directory, 'server.toml'), '');
    await using bash = await startBash(directory);
    await bash.complete('gitaly() { printf "<%s>" "$@"; echo; }');

    assert.equal(await bash.complete('gitaly ser\t ser\t'), '<serve><server.toml>');
    assert.equal(await bash.complete('gitaly conf\t val\t'), '<configuration><validate>');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('bash completes praefect', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'completion-'));
  try {
    writeFileSync(join(directory, 'completion'), await gitalyTs('completion', 'bash', 'praefect'));
    await using bash = await startBash(directory);
    await bash.complete('praefect() { printf "<%s>" "$@"; echo; }');

    assert.equal(await bash.complete('praefect list-st\t'), '<list-storages>');
    assert.equal(await bash.complete('praefect configuration val\t'), '<configuration><validate>');
    assert.equal(await bash.complete('praefect --conf\t'), '<--config>');
    assert.equal(
      await bash.complete('praefect --config server.toml list-st\t'),
      '<--config><server.toml><list-storages>',
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('a reader that closes the pipe causes no stack trace', async () => {
  const left = await run('sh', ['-c', `"${process.execPath}" ${PROGRAM.join(' ')} completion zsh | true`], {
    cwd: ROOT,
  });

  assert.equal(left.stderr, '');
});

const fish = (await run('sh', ['-c', 'command -v fish'])).stdout.trim();
test('fish completes commands and options', { skip: fish === '' && 'there is no fish' }, async () => {
  const script = await gitalyTs('completion', 'fish');
  const complete = async (line: string): Promise<string> =>
    (await run(fish, ['-c', `${script}\ncomplete -C'${line}'`])).stdout;

  assert.match(await complete('gitaly-ts imp'), /^import\t/);
  assert.match(await complete('gitaly-ts import --rec'), /^--recursive\t/);
  assert.match(await complete('gitaly-ts repo exp'), /^expire\t/);
  assert.match(await complete('gitaly-ts repo expire a --nev'), /^--never\t/);
  assert.equal(await complete('gitaly-ts repo list --nev'), '');
});

const zsh = (await run('sh', ['-c', 'command -v zsh'])).stdout.trim();
test('zsh accepts the scripts', { skip: zsh === '' && 'there is no zsh' }, async () => {
  for (const program of ['gitaly-ts', 'gitaly', 'praefect']) {
    const script = await gitalyTs('completion', 'zsh', program);
    const { code, stderr } = await run(zsh, ['-fnc', script]);
    assert.equal(code, 0, stderr);
  }
});
