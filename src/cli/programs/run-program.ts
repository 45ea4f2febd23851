import { type Command, CommanderError } from 'commander';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { tolerateBrokenPipes } from './tolerate-broken-pipes.ts';

/** Time limit for what the command has left open, apart from its output. */
const EXIT_LIMIT_MS = 1000;
/** Time limit for the output: a server whose log nobody reads any more has to end, too. */
const OUTPUT_LIMIT_MS = 600_000;

/**
 * Runs this process's command line, and ends the process with the exit code of the command, or with
 * 1 for a wrong command line.
 *
 * @param create receives a function that takes the exit code.
 * @param adapt rewrites the arguments, as Go's parser reads them; receives all commands, too.
 */
export async function runProgram(
  create: (onCode: (code: number) => void) => Command,
  adapt: (args: readonly string[], commands: readonly Command[]) => readonly string[],
): Promise<void> {
  tuneRuntime();
  tolerateBrokenPipes();
  const code = await runCommandLine(process.argv.slice(2), create, adapt);
  process.exitCode = code;
  // A reader may take its time, as a script that works on each line does.
  const limit = setTimeout(() => process.exit(code || 1), OUTPUT_LIMIT_MS).unref();
  await Promise.all([process.stdout, process.stderr].map(untilWritten));
  clearTimeout(limit);
  // Everything has ended by now. A forgotten handle must not keep a stopped server alive.
  setTimeout(() => process.exit(code), EXIT_LIMIT_MS).unref();
}

/** Resolves when the output has left this process, or is lost. */
async function untilWritten(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed) return;
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
}

/** Runs a command line in this process; returns the exit code. See {@link runProgram}. */
export async function runCommandLine(
  args: readonly string[],
  ...[create, adapt]: Parameters<typeof runProgram>
): Promise<number> {
  let code = 0;
  const root = create((value) => {
    code = value;
  });
  const commands = [root, ...root.commands, ...root.commands.flatMap((each) => each.commands)];
  for (const command of commands) command.exitOverride();
  try {
    await root.parseAsync([...adapt(args, commands)], { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 1; // commander has printed the error
  }
}
