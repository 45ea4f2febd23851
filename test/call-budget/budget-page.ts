/** The cost of one call, on average of several. */
export interface CallCost {
  /** System calls of the server. */
  readonly ofServer: number;
  /** System calls of git processes. */
  readonly ofGit: number;
  /** Processes that are started. */
  readonly processes: number;
  /** Flushes to the disk. */
  readonly flushes: number;
}

const ROW = /^\| ([A-Za-z][^|]*[^| ]) +\| +(\d+) +\| +(\d+) +\| +(\d+) +\| +(\d+) +\|$/;

/** Reads the table of limits in docs/budget.md, by call. */
export function parseBudget(page: string): Map<string, CallCost> {
  const rows = page.split('\n').flatMap((line) => {
    const [, name, ...numbers] = ROW.exec(line) ?? [];
    if (name === undefined) return [];
    const [ofServer = 0, ofGit = 0, processes = 0, flushes = 0] = numbers.map(Number);
    return [[name, { ofServer, ofGit, processes, flushes }] as const];
  });
  return new Map(rows);
}
