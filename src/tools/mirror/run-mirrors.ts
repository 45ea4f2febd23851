import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type FileStamp, fileStamp, NO_FILE } from '#base/files/file-stamp';
import { messageOf } from '#base/gitaly-error';
import { BoundedMap } from '#base/memory/bounded-map';
import { ProblemSeries } from '#base/problem-series';
import type { Connection } from '#client/index';
import { Repository } from '#client/repository/index';
import { maskUrlCredentials } from '#platform/log/mask-urls';
import type { Mirror, MirrorDirectory, MirrorRun } from './mirror-directory.ts';
import { parseMirrorCredentials } from './mirror-source.ts';

export interface RunMirrorsOptions {
  readonly directory: MirrorDirectory;
  readonly storage: string;
  /** Connects to the server; called when there is a mirror. */
  readonly connect: () => Promise<Connection>;
  /** Notified of failed runs. The text has no credentials. */
  readonly onFailure: (text: string) => void;
}

const LOOK_EVERY_MS = 1000;
/** A larger number would disturb the users of the server. */
const MAX_AT_ONCE = 4;
/** Part of the time between two runs by which they are spread. */
const JITTER = 0.1;
const MAX_DOUBLINGS = 6;
const MAX_PAUSE_SECONDS = 86_400;
/** A fetch that takes longer is ended, and tried again. */
const MAX_FETCH_SECONDS = 3600;
const MAX_PROBLEM = 500;
/** Time after which a run is repeated that could not be noted, as on a full disk. */
const UNNOTED_MS = 300_000;
/** A server has fewer mirrors. */
const MAX_UNNOTED = 10_000;
const REFERENCES = ['heads', 'tags'];

/**
 * Runs the mirrors of a directory when they are due, until this is disposed: then running ones are
 * ended. A server without mirrors looks for the directory, and does nothing else.
 */
export function startMirrors(options: RunMirrorsOptions): AsyncDisposable {
  const runner = new MirrorRunner(options);
  const running = runner.run();
  return {
    async [Symbol.asyncDispose]() {
      runner.stop();
      await running;
    },
  };
}

interface Run {
  readonly mirror: Mirror;
  /** Ends the fetch. */
  readonly ending: AbortController;
  readonly done: Promise<void>;
}

class MirrorRunner {
  readonly #options: RunMirrorsOptions;
  readonly #ending = new AbortController();
  readonly #running = new Map<string, Run>();
  #due: { readonly mirror: Mirror; readonly atMs: number }[] = [];
  /** Mirrors whose last run could not be noted. */
  readonly #unnoted = new BoundedMap<string, true>({ maxEntries: MAX_UNNOTED, maxAgeMs: UNNOTED_MS });
  #stamp: FileStamp = NO_FILE;
  #connection: Promise<Connection> | undefined;

  constructor(options: RunMirrorsOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#ending.abort();
  }

  async run(): Promise<void> {
    const { signal } = this.#ending;
    const problems = new ProblemSeries();
    while (!signal.aborted) {
      try {
        await this.#look();
        problems.end();
      } catch (error) {
        if (problems.begins(error)) this.#options.onFailure(`mirrors: ${messageOf(error)}`);
      }
      await delay(LOOK_EVERY_MS, undefined, { signal, ref: false }).catch(() => {}); // the loop ends
    }
    await Promise.all([...this.#running.values()].map(({ done }) => done));
    await (await this.#connection?.catch(() => undefined))?.close();
  }

  async #look(): Promise<void> {
    const { directory } = this.#options;
    const stamp = fileStamp(directory.path);
    // Each run and each change replaces a file there.
    if (stamp !== this.#stamp) {
      this.#due = await Array.fromAsync(await directory.list(), async (mirror) => ({
        mirror,
        atMs: dueMs(mirror, await directory.lastRun(mirror.repository)),
      }));
      this.#stamp = stamp;
      this.#endOthers();
    }
    for (const { atMs, mirror } of this.#due) {
      if (this.#running.size >= MAX_AT_ONCE) return;
      const { repository } = mirror;
      if (atMs > Date.now() || this.#running.has(repository) || this.#unnoted.get(repository)) continue;
      const ending = new AbortController();
      const signal = AbortSignal.any([this.#ending.signal, ending.signal]);
      const done = this.#update(mirror, signal).finally(() => this.#running.delete(repository));
      this.#running.set(repository, { mirror, ending, done });
    }
  }

  /** Ends the runs of mirrors that were stopped, or have another source: they would replace pushes. */
  #endOthers(): void {
    const sources = new Map(this.#due.map(({ mirror }) => [mirror.repository, mirror.url]));
    for (const { ending, mirror } of this.#running.values())
      if (sources.get(mirror.repository) !== mirror.url) ending.abort();
  }

  /** Runs a mirror once, and reports the result. Does not throw. */
  async #update(mirror: Mirror, signal: AbortSignal): Promise<void> {
    const { directory, onFailure } = this.#options;
    const { repository } = mirror;
    try {
      const before = await directory.lastRun(repository);
      const problem = await this.#fetch(mirror, { isFirst: before?.succeededAt === undefined, signal });
      if (signal.aborted) return;
      const at = new Date().toISOString();
      if (problem !== undefined) onFailure(`mirror ${repository}: ${problem}`);
      // It may have been stopped meanwhile.
      if ((await directory.find(repository)) === undefined) return;
      await directory.report(repository, {
        at,
        problem,
        failures: problem === undefined ? 0 : (before?.failures ?? 0) + 1,
        succeededAt: problem === undefined ? at : before?.succeededAt,
      });
    } catch (error) {
      this.#unnoted.set(repository, true);
      onFailure(`mirror ${repository}: ${messageOf(error)}`);
    }
  }

  /** Returns why it failed; `undefined` for success. @param options.isFirst also sets HEAD to the source's. */
  async #fetch(
    { repository: path, url }: Mirror,
    { isFirst, signal }: { readonly isFirst: boolean; readonly signal: AbortSignal },
  ): Promise<string | undefined> {
    const { directory, storage } = this.#options;
    try {
      const text = await directory.credentials(path);
      const { httpAuthorizationHeader = '', sshKey = '' } = text === '' ? {} : parseMirrorCredentials(text);
      const connection = await this.#connect();
      const mirrored = new Repository(connection, { storage, path });
      const target = { repository: mirrored.message };
      const remoteParams = { url, httpAuthorizationHeader, mirrorRefmaps: REFERENCES };
      await connection.repository.fetchRemote(
        { ...target, force: true, timeout: MAX_FETCH_SECONDS, sshKey, remoteParams },
        { signal },
      );
      if (!isFirst || url.startsWith('ssh:')) return undefined;
      const root = { ...target, remoteUrl: url, httpAuthorizationHeader };
      const { ref } = await connection.remote.findRemoteRootRef(root, { signal });
      await mirrored.setDefaultBranch(ref, { signal });
      return undefined;
    } catch (error) {
      return maskUrlCredentials(messageOf(error)).slice(0, MAX_PROBLEM);
    }
  }

  #connect(): Promise<Connection> {
    this.#connection ??= this.#options.connect();
    this.#connection.catch(() => {
      this.#connection = undefined; // the next run tries again
    });
    return this.#connection;
  }
}

/** Returns the time of the next run: at once for the first, later after each failure. */
export function dueMs({ everySeconds, repository }: Mirror, last: MirrorRun | undefined): number {
  if (last === undefined) return 0;
  const doublings = Math.min(last.failures, MAX_DOUBLINGS);
  const longest = Math.max(everySeconds, MAX_PAUSE_SECONDS);
  const pause = Math.min(everySeconds * 2 ** doublings, longest);
  const hash = createHash('sha256').update(`${repository}\0${last.at}`).digest().readUInt32BE();
  return Date.parse(last.at) + pause * 1000 * (1 + (JITTER * hash) / 2 ** 32);
}
