import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Command, CommanderError } from 'commander';
import type { RepoProcess } from '#cli/commands/repo-commands';
import type { RunResult } from '../run-program.ts';

/**
 * Runs a command of `gitaly-ts` in this process: a start of Node takes a second of processor time.
 *
 * @param add adds the command to the program.
 */
export async function runCommands(
  args: readonly string[],
  add: (program: Command, process: RepoProcess) => void,
): Promise<RunResult> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const process: RepoProcess = { stdin, stdout, stderr };
  const program = new Command('gitaly-ts').exitOverride();
  program.configureOutput({
    writeOut: (written) => stdout.write(written),
    writeErr: (written) => stderr.write(written),
  });
  add(program, process);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
  const [out, err] = await Promise.all([stdout, stderr].map((stream) => text(stream.end())));
  return { code: Number(process.exitCode), stdout: out ?? '', stderr: err ?? '' };
}
