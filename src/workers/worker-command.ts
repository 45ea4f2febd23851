/** Subcommand of `gitaly` that runs a worker. */
export const WORKER_COMMAND = 'worker';

/** Message to workers: the number of processes that serve calls. */
export const PROCESSES = 'processes';
