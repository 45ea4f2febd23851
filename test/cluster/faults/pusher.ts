import { setTimeout as delay } from 'node:timers/promises';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import type { GitRoute } from './fault-cluster.ts';

/** Ends a push whose server sends nothing. */
const SILENCE_SECONDS = 12;
/** Ends any other push: a gateway for SSH waits as long as its client. */
const PUSH_LIMIT_MS = 30_000;
const PAUSE_AFTER_FAILURE_MS = 300;

/** Pushes commit after commit to a separate branch, and knows which ones were acknowledged. */
export class Pusher {
  readonly branch: string;
  /** Client's repository. */
  readonly directory: string;
  /** Path of the repository on the server, as clients name it. */
  readonly relativePath: string;
  readonly #routes: readonly GitRoute[];
  /** All commits, each the child of the one before. */
  readonly #commits: string[] = [];
  #acknowledged = -1;
  /** Pushes that succeeded. */
  successes = 0;
  /** Error of the last push that failed. */
  lastError = '';

  /** @param parts.routes to the server, which are used in turn. */
  constructor(parts: {
    branch: string;
    directory: string;
    relativePath: string;
    routes: readonly GitRoute[];
  }) {
    this.branch = parts.branch;
    this.directory = parts.directory;
    this.relativePath = parts.relativePath;
    this.#routes = parts.routes;
  }

  /** The place of the last acknowledged commit in {@link placeOf}; -1 before the first. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  get latest(): string {
    return this.#commits.at(-1) ?? '';
  }

  /** Returns the place of a commit among those of this branch; -1 for any other. */
  placeOf(oid: string): number {
    return this.#commits.indexOf(oid);
  }

  /**
   * Makes a commit and pushes it. Returns whether the push was acknowledged.
   *
   * @param number of the route, counts from 0; default each in turn
   */
  async push(number = this.#commits.length): Promise<boolean> {
    const parent = this.#commits.at(-1);
    const tree = await runGit(['-C', this.directory, 'mktree'], { input: '' });
    const oid = await runGit([
      ...['-C', this.directory, 'commit-tree', '-m', `${this.branch} ${this.#commits.length}`],
      ...(parent === undefined ? [] : ['-p', parent]),
      tree,
    ]);
    const place = this.#commits.push(oid) - 1;
    const route = this.#routes[number % this.#routes.length];
    const url = `${route?.url}/${this.relativePath}`;
    const { code, stderr } = await run(
      'git',
      [
        ...['-C', this.directory, '-c', 'http.lowSpeedLimit=1', '-c', `http.lowSpeedTime=${SILENCE_SECONDS}`],
        ...['push', '-q', url, `${oid}:refs/heads/${this.branch}`],
      ],
      { env: route?.env ?? {}, timeoutMs: PUSH_LIMIT_MS },
    );
    if (code === 0) {
      this.#acknowledged = place;
      this.successes++;
    } else this.lastError = stderr.trim();
    return code === 0;
  }

  /** Pushes until the signal is aborted. */
  async pushOn(stop: AbortSignal): Promise<void> {
    while (!stop.aborted)
      if (!(await this.push()))
        await delay(PAUSE_AFTER_FAILURE_MS, undefined, { signal: stop }).catch(() => {});
  }
}
