import type { Command } from 'commander';
import { WORKER_COMMAND } from '#workers/worker-command';

/**
 * Adds the command that a server starts its workers with.
 *
 * @param run Loads and runs the worker; resolves to the exit code.
 */
export function addWorker(root: Command, exit: (code: number) => void, run: () => Promise<number>): void {
  root
    .command(WORKER_COMMAND, { hidden: true })
    .description('A worker process of a server; only the server starts it.')
    .action(async () => exit(await run()));
}
