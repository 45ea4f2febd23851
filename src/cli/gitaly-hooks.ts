import { basename } from 'node:path';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { versionString } from '#platform/process/version';

const PROGRAM = 'gitaly-hooks';
const HELP = `Usage: gitaly-hooks <hook> [arguments], or <hook> [arguments] as a symbolic link of that name

Forwards a git hook to the Gitaly server named by GITALY_HOOKS_PAYLOAD.

Hooks: pre-receive, update, post-receive, reference-transaction, proc-receive; and "git pack-objects ...",
for use as uploadpack.packObjectsHook.

Examples:
  ln -s "$(command -v gitaly-hooks)" hooks/pre-receive
  git -c core.hooksPath=hooks receive-pack repository.git
  gitaly-hooks check /etc/gitaly/config.toml      # checks GitLab's internal API, like: gitaly check
`;

/**
 * Returns the name under which the program was called. The launcher passes it as a title; npm's
 * link is the script's own path.
 */
function invokedAs(): string {
  const title = process.execArgv.find((word) => word.startsWith('--title='))?.slice('--title='.length);
  return title ?? basename(process.argv[1] ?? PROGRAM).replace(/\.[jt]s$/, '');
}

async function main(name: string, args: readonly string[]): Promise<number> {
  if (name === PROGRAM) {
    const [first, ...rest] = args;
    if (first === '--help' || first === '-h') {
      process.stdout.write(HELP);
      return 0;
    }
    if (first === '--version' || first === '-v') {
      process.stdout.write(`${versionString(PROGRAM)}\n`);
      return 0;
    }
    if (first === 'check') {
      const { checkAsHooks } = await import('./check-as-hooks.ts');
      return await checkAsHooks(rest);
    }
  }
  const { runHookProgram } = await import('#tools/hook-program/run-hook-program');
  return await runHookProgram(name, args, process.env, process);
}

tuneRuntime();
process.exitCode = await main(invokedAs(), process.argv.slice(2));
process.stdin.destroy(); // git may keep its end open
