import { tuneRuntime } from '#platform/process/tune-runtime';
import { printPlainText } from './programs/plain-programs.ts';

async function main(args: readonly string[]): Promise<number> {
  if (printPlainText('gitaly-wrapper', args[0])) return 0;
  const { runWrapper } = await import('#tools/wrapper/run-wrapper');
  return await runWrapper(args, process.env);
}

tuneRuntime();
const code = await main(process.argv.slice(2));
process.exit(code); // the listeners for signals would keep it alive
