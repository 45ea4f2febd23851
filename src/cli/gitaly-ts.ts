import { CommanderError } from 'commander';
import { misspeltVariables } from '#platform/process/own-variables';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { gitalyTsProgram } from './gitaly-ts-program.ts';

const program = gitalyTsProgram();
for (const message of misspeltVariables()) process.stderr.write(`gitaly-ts: ${message}\n`);

tuneRuntime();
tolerateBrokenPipes();
try {
  if (process.argv.length <= 2) {
    program.outputHelp({ error: true });
    process.exitCode = 2;
  } else await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}

/**
 * Keeps a program whose reader has left (`… | head`) from ending with a stack trace. Later writes
 * fail or are dropped, and the program ends normally.
 */
function tolerateBrokenPipes(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}
