import { tuneRuntime } from '#platform/process/tune-runtime';
import { printPlainText } from './programs/plain-programs.ts';

async function main(args: readonly string[]): Promise<number> {
  if (printPlainText('gitaly-ssh', args[0])) return 0;
  // git tests for OpenSSH's options this way, unless GIT_SSH_VARIANT is set; this program has none.
  if (args[1] === '-G') return 1;
  const { runSshCommand } = await import('#tools/ssh-command/run-ssh-command');
  return await runSshCommand(args, process.env, process);
}

tuneRuntime();
process.exitCode = await main(process.argv.slice(2));
process.stdin.destroy(); // git keeps its end open
