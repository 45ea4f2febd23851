import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where distributions install versions that are not on PATH. */
const VERSIONED = '/usr/lib/postgresql';
const START_LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 20;
/** Longest accepted path of a socket, without its final NUL. */
const MAX_SOCKET_PATH = 107;
const PORT = 5432;
const ROLE = 'praefect';

/** A PostgreSQL server that was started here. Disposing stops it. */
export interface EmbeddedPostgres extends AsyncDisposable {
  /** Directory of its Unix socket; the `host` of connections. */
  readonly host: string;
  readonly user: string;
  readonly pid: number;
}

export interface EmbeddedPostgresOptions {
  /** Directory of the data; initialised if it does not exist. The socket is created beside it. */
  readonly directory: string;
  /** False for data that may be lost when the machine fails: it is faster. */
  readonly isDurable: boolean;
}

/** Returns the directory of PostgreSQL's programs, of the newest version. */
export function findPostgres(): string | undefined {
  const { PATH = '' } = process.env;
  const onPath = PATH.split(delimiter);
  const versions = existsSync(VERSIONED) ? readdirSync(VERSIONED) : [];
  const installed = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((name) => join(VERSIONED, name, 'bin'));
  return [...onPath, ...installed].find((each) => existsSync(join(each, 'initdb')));
}

/**
 * Starts the machine's PostgreSQL. It listens on a Unix socket only, and accepts every user who can
 * reach the directory. It refuses to run as root, so root runs it as `postgres` or `nobody`.
 *
 * @throws {Error} when it is not installed, or with its own words when it does not start.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const programs = findPostgres();
  if (programs === undefined)
    throw new Error('PostgreSQL is not installed: initdb is neither on PATH nor in /usr/lib/postgresql');
  const { directory, isDurable } = options;
  const host = join(directory, 'run');
  if (Buffer.byteLength(join(host, `.s.PGSQL.${PORT}`)) > MAX_SOCKET_PATH)
    throw new Error(`${directory}: the path is too long for a Unix socket`);
  const data = join(directory, 'data');
  const owner = await otherUser();
  for (const each of [directory, host]) {
    await mkdir(each, { recursive: true, mode: 0o700 });
    if (owner === undefined) continue;
    await chmod(each, 0o711);
  }
  if (owner !== undefined) await chown(host, owner.uid, owner.gid);
  const identity = { ...owner, cwd: '/' };
  if (!existsSync(join(data, 'PG_VERSION'))) {
    await mkdir(data, { recursive: true, mode: 0o700 });
    if (owner !== undefined) await chown(data, owner.uid, owner.gid);
    const settings = [
      '--auth=trust',
      `--username=${ROLE}`,
      '--encoding=UTF8',
      '--locale=C',
      '--no-instructions',
    ];
    await run(
      join(programs, 'initdb'),
      [`--pgdata=${data}`, ...settings, ...(isDurable ? [] : ['--no-sync'])],
      identity,
    );
  }
  const fast = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];
  const settings = ['listen_addresses=', `unix_socket_directories=${host}`, 'max_connections=200'];
  const server = spawn(
    join(programs, 'postgres'),
    [
      '-D',
      data,
      '-p',
      String(PORT),
      ...[...settings, ...(isDurable ? [] : fast)].flatMap((each) => ['-c', each]),
    ],
    { ...identity, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const words: string[] = [];
  server.stderr.setEncoding('utf8').on('data', (text: string) => {
    words.push(text);
    if (words.length > 50) words.shift();
  });
  const exited = once(server, 'exit');
  exited.catch(() => {}); // a failed start is reported below
  const stop = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill('SIGINT'); // ends sessions and stops
    await exited;
  };
  try {
    await ready(data, () => server.exitCode === null && server.signalCode === null);
  } catch (error) {
    await stop();
    throw new Error(`PostgreSQL has not started: ${words.join('').trim()}`, { cause: error });
  }
  return { host, user: ROLE, pid: server.pid ?? 0, [Symbol.asyncDispose]: stop };
}

/** Stops a server and removes its directory. */
export async function removeEmbeddedPostgres(server: EmbeddedPostgres, directory: string): Promise<void> {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
}

/** Waits until the server's pid file says that it accepts connections. */
async function ready(data: string, isRunning: () => boolean): Promise<void> {
  const limit = performance.now() + START_LIMIT_MS;
  while (isRunning() && performance.now() < limit) {
    const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');
    // The eighth line is the state.
    if (text.split('\n')[7]?.trim() === 'ready') return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  throw new Error('it is not ready');
}

/** Returns the user to run as; `undefined` to stay. */
async function otherUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const user = users.find(([each]) => each === name);
    if (user !== undefined) return { uid: Number(user[2]), gid: Number(user[3]) };
  }
  throw new Error('PostgreSQL cannot run as root, and there is no user postgres or nobody');
}
