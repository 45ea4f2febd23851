/** Subcommand of `gitaly` that runs a worker. */
export const WORKER_COMMAND = 'worker';
