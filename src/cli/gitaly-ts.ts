import { CommanderError } from 'commander';
import { misspeltVariables } from '#platform/process/own-variables';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { gitalyTsProgram } from './programs/gitaly-ts-program.ts';
import { tolerateBrokenPipes } from './programs/tolerate-broken-pipes.ts';

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
