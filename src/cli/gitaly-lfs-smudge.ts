import { tuneRuntime } from '#platform/process/tune-runtime';
import { printPlainText } from './programs/plain-programs.ts';

async function main(args: readonly string[]): Promise<number> {
  if (printPlainText('gitaly-lfs-smudge', args[0])) return 0;
  const { runLfsSmudge } = await import('#tools/lfs-smudge/run-lfs-smudge');
  return await runLfsSmudge(process.env, process);
}

tuneRuntime();
process.exitCode = await main(process.argv.slice(2));
process.stdin.destroy(); // git may keep its end open
