import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Command, CommanderError } from 'commander';
import { programCommand } from '#testkit/programs/program-command';
import { run } from '#testkit/run-program';
import { commandPaths, completedWords } from '#tools/completion/command-tree';
import { completionScript } from '#tools/completion/completion';
import { gitalyBackupProgram } from './gitaly-backup-program.ts';
import { gitalyProgram } from './gitaly-program.ts';
import { gitalyTsProgram } from './gitaly-ts-program.ts';
import { PLAIN_PROGRAMS } from './plain-programs.ts';
import { praefectProgram } from './praefect-program.ts';
import { type ProgramName, programs } from './programs.ts';

const PROGRAMS = programs(gitalyTsProgram);

const noExit = (): void => {};
const PARSED: Partial<Record<ProgramName, () => Command>> = {
  'gitaly-ts': gitalyTsProgram,
  gitaly: () => gitalyProgram(noExit),
  praefect: () => praefectProgram(noExit),
  'gitaly-backup': () => gitalyBackupProgram(noExit),
};

/** Returns what a command line prints that only prints something. */
async function outputOf(name: ProgramName, words: readonly string[]): Promise<string> {
  const program = PARSED[name]?.();
  if (program === undefined) return (await run(process.execPath, [...programCommand(name), ...words])).stdout;
  let printed = '';
  const watch = (command: Command): void => {
    command.exitOverride().configureOutput({
      writeOut: (text) => {
        printed += text;
      },
    });
    command.commands.forEach(watch);
  };
  watch(program);
  await assert.rejects(
    program.parseAsync(words, { from: 'user' }),
    (error) => error instanceof CommanderError && error.exitCode === 0,
  );
  return printed;
}

for (const name of Object.keys(PROGRAMS) as ProgramName[]) {
  test(`--help of every command of ${name} is what its man page has`, async () => {
    const paths = commandPaths(await PROGRAMS[name]());
    assert.ok(paths.length > (name in PLAIN_PROGRAMS ? 0 : 4), `${paths.length} commands`);
    for (const { command, words } of paths) {
      const help = await outputOf(name, [...words, '--help']);

      assert.equal(help, command.help());
      assert.ok(help.startsWith(`Usage: ${[name, ...words].join(' ')}`), help);
      const sentence = command.description.split(' ').slice(0, 3).join(' ');
      assert.ok(help.replaceAll(/\s+/g, ' ').includes(sentence), `${words}: ${sentence}`);
      assert.ok(command.options.every(({ names }) => names.length > 0));
      if (name === 'gitaly-ts') assert.match(help, /\nExamples?:\n {2}.*gitaly-ts /, words.join(' '));
    }
  });
}

test('every command and every option is in the completion of each shell', async () => {
  for (const name of ['gitaly-ts', 'gitaly', 'praefect'] as const) {
    const program = await PROGRAMS[name]();
    for (const shell of ['bash', 'zsh', 'fish'] as const) {
      const script = completionScript(shell, program);
      for (const { command, words } of commandPaths(program))
        for (const word of [
          command.name,
          ...completedWords(command.options).map((word) => word.replace(/^--?/, '')),
        ])
          assert.ok(script.includes(word), `${word} of ${name} ${words.join(' ')} in ${shell}`);
      if (shell === 'fish') assert.doesNotMatch(script, / -[slo] (?:-|$)| -s \w\w/m);
    }
  }
});

test('a command has the options of its own level, and of the command that runs by default', async () => {
  const paths = commandPaths(await PROGRAMS['gitaly-ts']());
  const optionsOf = (line: string): string[] =>
    paths.find(({ words }) => words.join(' ') === line)?.command.options.flatMap(({ names }) => names) ?? [];

  assert.deepEqual(optionsOf('token'), ['-h', '--help']);
  assert.ok(optionsOf('token create').includes('--access'));
  assert.ok(!optionsOf('token list').includes('--access'));
  assert.ok(optionsOf('backup').includes('--incremental'), 'of backup create');
  assert.ok(!optionsOf('backup').includes('--keep-daily'), 'of backup prune');
});
