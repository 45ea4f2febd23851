import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPostgres, NO_POSTGRES } from './find-postgres.ts';
import { copyPackagedPostgres } from './packaged-postgres.ts';
import { endLeftover, readPidFile } from './postmaster-pid.ts';

const run = promisify(execFile);

const START_LIMIT_MS = 60_000;
/** Time for a stop that writes everything to the disk. */
const STOP_LIMIT_MS = 30_000;
const LOOK_EVERY_MS = 20;
/** Longest accepted path of a socket, without its final NUL. */
const MAX_SOCKET_PATH = 107;
const PORT = 5432;
const ROLE = 'praefect';

/** A PostgreSQL server that was started here. Disposing stops it. */
export interface EmbeddedPostgres extends AsyncDisposable {
  /** Directory of its Unix socket; the `host` of connections. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly pid: number;
  /** Resolves when the server has ended, for any reason. */
  readonly exited: Promise<unknown>;
}

export interface EmbeddedPostgresOptions {
  /** Directory of the data; initialised if it does not exist. */
  readonly directory: string;
  /** Directory of the socket; default `run` next to the data. */
  readonly socketDirectory?: string;
  /** False for data that may be lost when the machine fails: it is faster. */
  readonly isDurable: boolean;
  /** True if signals of the terminal must not reach it. */
  readonly isDetached?: boolean;
  /** Directory of PostgreSQL's programs; default {@link findPostgres}. */
  readonly programs?: string;
  /** Aborts the start. */
  readonly signal?: AbortSignal;
}

/**
 * Starts a PostgreSQL. It listens on a Unix socket only, and accepts every user who may
 * open that: its own user, and root. It refuses to run as root, so root runs it as `postgres` or
 * `nobody`. A server that a killed process left on the same data is stopped first.
 *
 * @throws {Error} when it is not installed, or with its own words when it does not start.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const found = options.programs ?? findPostgres();
  if (found === undefined) throw new Error(NO_POSTGRES);
  const { directory, isDurable, signal } = options;
  const host = options.socketDirectory ?? join(directory, 'run');
  if (Buffer.byteLength(join(host, `.s.PGSQL.${PORT}`)) > MAX_SOCKET_PATH)
    throw new Error(`${directory}: the path is too long for a Unix socket`);
  const data = join(directory, 'data');
  const owner = await otherUser();
  await prepareDirectories([directory, host], owner);
  if (owner !== undefined) await chown(host, owner.uid, owner.gid);
  const programs = owner === undefined ? found : await programsFor(owner, found, directory);
  const identity = { ...(owner && { uid: owner.uid, gid: owner.gid }), cwd: '/' };
  if (!existsSync(data)) await initialise(programs, { data, isDurable, owner });
  await endLeftover(data);
  signal?.throwIfAborted();
  const fast = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];
  const settings = [
    'listen_addresses=',
    `unix_socket_directories=${host}`,
    'unix_socket_permissions=0700',
    'max_connections=200',
    ...(isDurable ? [] : fast),
  ];
  const server = spawn(
    join(programs, 'postgres'),
    ['-D', data, '-p', String(PORT), ...settings.flatMap((each) => ['-c', each])],
    { ...identity, stdio: ['ignore', 'ignore', 'pipe'], detached: options.isDetached === true },
  );
  const words: string[] = [];
  server.stderr.setEncoding('utf8').on('data', (text: string) => {
    words.push(text);
    if (words.length > 50) words.shift();
  });
  const exited = once(server, 'exit');
  exited.catch(() => {}); // a failed start is reported below
  const isRunning = (): boolean => server.exitCode === null && server.signalCode === null;
  const stop = async (): Promise<void> => {
    if (!isRunning()) return;
    server.kill('SIGINT'); // ends sessions and stops
    using _hurry = setTimeout(() => server.kill('SIGQUIT'), STOP_LIMIT_MS);
    await exited;
  };
  try {
    await ready(data, server.pid, () => isRunning() && signal?.aborted !== true);
  } catch (error) {
    await stop();
    throw new Error(`PostgreSQL has not started: ${words.join('').trim()}`, { cause: error });
  }
  return { host, port: PORT, user: ROLE, pid: server.pid ?? 0, exited, [Symbol.asyncDispose]: stop };
}

/** Stops a server and removes its directory. */
export async function removeEmbeddedPostgres(server: EmbeddedPostgres, directory: string): Promise<void> {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
}

/** Creates the directories so that the other user, if there is one, may enter them. */
async function prepareDirectories(paths: readonly string[], owner: OtherUser | undefined): Promise<void> {
  for (const path of paths) {
    await mkdir(path, { recursive: true, mode: 0o700 });
    if (owner === undefined) continue;
    await chmod(path, 0o711);
    if (await succeedsAs(owner, 'cd "$1"', path)) continue;
    throw new Error(
      `${path}: PostgreSQL refuses to run as root, and the user ${owner.name}, as whom it runs instead, ` +
        'may not enter this directory. Choose a directory that everybody may enter, such as one below ' +
        '/srv, or start as another user than root',
    );
  }
}

/**
 * Returns the directory of programs that the other user may run: a copy, if those of the npm
 * package are in a directory that only root may enter.
 */
async function programsFor(owner: OtherUser, programs: string, directory: string): Promise<string> {
  if (await succeedsAs(owner, 'test -r "$1"/initdb -a -x "$1"/initdb', programs)) return programs;
  const copy = await copyPackagedPostgres(programs, directory);
  if (copy !== undefined) return copy;
  throw new Error(
    `${programs}: PostgreSQL refuses to run as root, and the user ${owner.name}, as whom it runs instead, ` +
      'may not run the programs in this directory. Make them readable for everybody, or set ' +
      'GITALY_TS_POSTGRES=embedded',
  );
}

/** Reports whether a line of shell, with a path as `$1`, succeeds as another user. */
async function succeedsAs({ gid, uid }: OtherUser, line: string, path: string): Promise<boolean> {
  try {
    await run('/bin/sh', ['-c', line, 'sh', path], { uid, gid, cwd: '/' });
    return true;
  } catch {
    return false; // the caller explains it
  }
}

/** Creates new data. Data under the final name is complete. */
async function initialise(
  programs: string,
  { data, isDurable, owner }: { data: string; isDurable: boolean; owner: OtherUser | undefined },
): Promise<void> {
  const draft = `${data}.draft`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  if (owner !== undefined) await chown(draft, owner.uid, owner.gid);
  const settings = ['--auth=trust', `--username=${ROLE}`, '--encoding=UTF8', '--locale=C'];
  const quick = isDurable ? [] : ['--no-sync'];
  const identity = owner && { uid: owner.uid, gid: owner.gid };
  await run(join(programs, 'initdb'), [`--pgdata=${draft}`, ...settings, '--no-instructions', ...quick], {
    ...identity,
    cwd: '/',
  });
  await rename(draft, data);
}

/** Waits until the server's pid file reports that it accepts connections. */
async function ready(data: string, pid: number | undefined, goesOn: () => boolean): Promise<void> {
  const limit = performance.now() + START_LIMIT_MS;
  while (goesOn() && performance.now() < limit) {
    const found = await readPidFile(data);
    if (found?.pid === pid && found?.state === 'ready') return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new Error('it is not ready');
}

interface OtherUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Returns the user to run as; `undefined` for the current one. */
async function otherUser(): Promise<OtherUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const user = users.find(([each]) => each === name);
    if (user !== undefined) return { name, uid: Number(user[2]), gid: Number(user[3]) };
  }
  throw new Error('PostgreSQL cannot run as root, and there is no user postgres or nobody');
}
