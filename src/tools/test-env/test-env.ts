import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePort } from '#base/network/listening-port';
import { type EnvironmentFiles, isGone, prepareDirectory, writeFiles } from './environment-files.ts';
import { type BuildChoice, type ServerBuild, serverBuild } from './server-build.ts';
import { type ChildServer, startServer } from './server-process.ts';
import { hasEndedBy } from './server-socket.ts';

export interface TestEnvOptions extends BuildChoice {
  readonly directory: string;
  readonly storages: readonly string[];
  /** Default: a new one. */
  readonly token?: string | undefined;
  /** Also starts a Praefect, in front of the server. */
  readonly praefect?: boolean | undefined;
  /** Ends the environment. */
  readonly signal: AbortSignal;
  /** Called once the server accepts calls. */
  readonly onReady: (ready: ReadyEnvironment) => void;
}

/** A running environment, as `--json` prints it. */
export interface ReadyEnvironment {
  /** `unix:PATH` and `tcp://HOST:PORT`, and Praefect's `unix:PATH` if it runs. */
  readonly addresses: { readonly unix: string; readonly tcp: string; readonly praefect?: string };
  readonly token: string;
  readonly storages: EnvironmentFiles['storages'];
  readonly directory: string;
  readonly config: string;
  readonly praefectConfig: string;
  readonly log: string;
}

const TOKEN_BYTES = 24;
/** Longest time in milliseconds that the environment outlives its parent or its directory. */
const CHECK_EVERY_MS = 100;
/** Time that the server of a run that was killed has to end. */
const EARLIER_LIMIT_MS = 8000;

/**
 * Prepares a directory and runs a server on it until `signal` aborts, the server ends, this
 * process's parent ends, or somebody removes the directory.
 *
 * @throws {Error} when there is no such build, or the server does not start or ends by itself
 */
export async function runTestEnv(options: TestEnvOptions): Promise<void> {
  const parent = process.ppid;
  const files = await prepareDirectory(options.directory, options.storages);
  await unused(files);
  const over = new AbortController();
  let isWritten = false;
  using _check = setInterval(() => {
    if (process.ppid !== parent || (isWritten && isGone(files))) over.abort();
  }, CHECK_EVERY_MS);
  const end = AbortSignal.any([options.signal, over.signal]);
  const build = await serverBuild(options, join(files.directory, 'builds'), end);
  const token = options.token ?? randomBytes(TOKEN_BYTES).toString('base64url');
  const tcp = `127.0.0.1:${await freePort()}`;
  await writeFiles(files, build, { storages: options.storages, token, tcp });
  isWritten = true;
  const { praefect } = files;
  await using servers = await startAll(files, build, {
    hasPraefect: options.praefect === true,
    signal: end,
  });
  options.onReady({
    addresses: {
      unix: `unix:${files.socket}`,
      tcp: `tcp://${tcp}`,
      ...(options.praefect && { praefect: `unix:${praefect.socket}` }),
    },
    token,
    storages: files.storages,
    directory: files.directory,
    config: files.config,
    praefectConfig: praefect.config,
    log: files.log,
  });
  const aborted = end.aborted ? Promise.resolve() : once(end, 'abort');
  await Promise.race([
    aborted,
    Promise.race(servers.exited).then(() => {
      if (!end.aborted && !isGone(files))
        throw new Error(`the server exited unexpectedly; its log is in ${join(files.directory, 'log')}`);
    }),
  ]);
}

/** Starts the servers one after the other. If one does not start, the others are stopped. */
async function startAll(
  { config, directory, log, praefect, socket }: EnvironmentFiles,
  build: ServerBuild,
  { hasPraefect, signal }: { readonly hasPraefect: boolean; readonly signal: AbortSignal },
): Promise<AsyncDisposable & { readonly exited: readonly Promise<unknown>[] }> {
  await using starting = new AsyncDisposableStack();
  const exited: Promise<unknown>[] = [];
  const add = (server: ChildServer): void => {
    exited.push(starting.use(server).exited);
  };
  if (build.isThis) {
    const { startOwnServer } = await import('./own-server.ts'); // others need none of its code
    add(await startOwnServer({ config, log }));
  } else {
    const command = [...build.command('gitaly'), config];
    add(await startServer({ command, directory, log, socket }, signal));
  }
  if (hasPraefect) {
    const command = [...build.command('praefect'), '-config', praefect.config];
    add(await startServer({ ...praefect, command, directory }, signal));
  }
  const started = starting.move();
  return { exited, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** Waits until an earlier server has ended. @throws {Error} if it keeps running */
async function unused({ directory, socket }: EnvironmentFiles): Promise<void> {
  if (!(await hasEndedBy(performance.now() + EARLIER_LIMIT_MS, socket)))
    throw new Error(`${directory} is in use by another test server. Stop it, or choose another directory`);
}
