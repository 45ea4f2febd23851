import type { Command } from 'commander';
import type { CommandTree, OptionShape } from '#tools/completion/command-tree';
import { commandTreeOf } from '../commands/command-tree.ts';
import { PLAIN_PROGRAMS } from './plain-programs.ts';

const noExit = (): void => {};

export type ProgramName = keyof typeof OTHERS | 'gitaly-ts';

/** All programs except gitaly-ts. */
const OTHERS = {
  gitaly: async () => commandTreeOf((await import('./gitaly-program.ts')).gitalyProgram(noExit)),
  praefect: async () => commandTreeOf((await import('./praefect-program.ts')).praefectProgram(noExit)),
  'gitaly-backup': async () =>
    commandTreeOf((await import('./gitaly-backup-program.ts')).gitalyBackupProgram(noExit)),
  'gitaly-ssh': async () => plainTree('gitaly-ssh'),
  'gitaly-hooks': async () => plainTree('gitaly-hooks'),
  'gitaly-lfs-smudge': async () => plainTree('gitaly-lfs-smudge'),
  'gitaly-wrapper': async () => plainTree('gitaly-wrapper'),
} as const satisfies Readonly<Record<string, () => Promise<CommandTree>>>;

/**
 * Returns the programs of the package, with all their commands. Each is loaded on use.
 *
 * @param gitalyTs returns that program, of which this is a part.
 */
export function programs(gitalyTs: () => Command): Readonly<Record<ProgramName, () => Promise<CommandTree>>> {
  return { 'gitaly-ts': async () => commandTreeOf(gitalyTs()), ...OTHERS };
}

const PLAIN_OPTIONS: readonly OptionShape[] = [
  { names: ['-h', '--help'], description: 'print this help', takesValue: false },
  { names: ['-v', '--version'], description: 'print the version', takesValue: false },
];

function plainTree(name: keyof typeof PLAIN_PROGRAMS): CommandTree {
  const help = PLAIN_PROGRAMS[name];
  const [usage = '', description = ''] = help.split('\n\n');
  return {
    name,
    aliases: [],
    description: description.replaceAll('\n', ' '),
    usage: usage.slice(`Usage: ${name} `.length),
    options: PLAIN_OPTIONS,
    argument: undefined,
    commands: [],
    help: () => help,
  };
}
