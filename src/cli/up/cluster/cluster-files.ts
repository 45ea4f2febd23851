import { chmod, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '#base/files/make-directory';
import { replaceFile } from '#base/files/replace-file';
import type { Secret } from '#base/secret';
import { PRAEFECT_CONFIG, type UpDirectory, WrongDirectoryError } from '../up-directory.ts';
import type { UpEvents } from '../up-events.ts';
import type { UpGrpc } from '../up-grpc.ts';
import type { UpLfs } from '../up-lfs.ts';
import type { DatabaseKeys } from './database-url.ts';

/** Virtual storage of the cluster, as clients name it. */
export const VIRTUAL_STORAGE = 'default';

/** A gitaly of the cluster. */
export interface NodeFiles {
  /** Name of the node and of its storage: `gitaly-1`. */
  readonly name: string;
  readonly config: string;
  readonly socket: string;
  readonly runtime: string;
  /** Directory of its repositories. */
  readonly storage: string;
  readonly log: string;
}

/** Files of a cluster in the directory of `up`. */
export interface ClusterFiles {
  readonly nodes: readonly NodeFiles[];
  readonly praefect: { readonly config: string; readonly socket: string; readonly log: string };
  readonly postgres: { readonly directory: string; readonly sockets: string };
}

const EVENTS = '\n[events]\nenabled = true\n';
const NODE_NAME = /^gitaly-(\d+)$/;

/**
 * Returns the files of a cluster.
 *
 * @throws {WrongDirectoryError} when the directory has more nodes.
 */
export async function clusterFiles(directory: UpDirectory, count: number): Promise<ClusterFiles> {
  const { path, runtime, socket, socketDirectory } = directory;
  const numbers = (await readdir(path)).map((name) => Number(NODE_NAME.exec(name)?.[1] ?? 0));
  const most = Math.max(0, ...numbers);
  if (most > count) {
    throw new WrongDirectoryError(
      `${path} has ${most} nodes, and repositories may be on each: ` +
        `start it with --cluster ${most} or more. ` +
        'Nodes cannot be removed: copy the repositories to a new cluster with "gitaly-ts import"',
    );
  }
  const nodes = Array.from({ length: count }, (_, index): NodeFiles => {
    const name = `gitaly-${index + 1}`;
    return {
      name,
      config: join(runtime, `${name}.toml`),
      socket: join(runtime, `${name}.socket`),
      runtime: join(runtime, String(index + 1)), // short: sockets are in it
      storage: join(path, name),
      log: join(path, 'log', `${name}.log`),
    };
  });
  return {
    nodes,
    praefect: { config: join(path, PRAEFECT_CONFIG), socket, log: join(path, 'log/praefect.log') },
    postgres: {
      directory: join(path, 'postgres'),
      sockets: socketDirectory === path ? join(path, 'postgres/run') : join(socketDirectory, 'postgres'),
    },
  };
}

/**
 * Creates the directories, or completes them, and writes the configurations of the nodes. Sockets
 * and similar of an earlier run, whose servers must have ended, are removed.
 */
export async function writeNodeFiles(
  { path, runtime, socketDirectory }: UpDirectory,
  { nodes }: ClusterFiles,
  { hasEvents, lfs }: { readonly hasEvents: boolean; readonly lfs: UpLfs | undefined },
): Promise<void> {
  await rm(runtime, { recursive: true, force: true });
  const folders = nodes.flatMap(({ runtime: own, storage }) => [own, storage]);
  for (const each of [runtime, join(path, 'log'), ...folders]) await makeDirectory(each, { mode: 0o700 });
  // PostgreSQL's user enters it. It exists only for a long name; otherwise it is the user's own.
  if (socketDirectory !== path && process.getuid?.() === 0) await chmod(socketDirectory, 0o711);
  for (const { config, name, runtime, socket, storage } of nodes) {
    await replaceFile(
      config,
      `# Written by gitaly-ts up at each start.
socket_path = ${quoted(socket)}
runtime_dir = ${quoted(runtime)}
graceful_restart_timeout = "5s"

[logging]
level = "warn"

[git]
hide_gitlab_references = false

[[storage]]
name = ${quoted(name)}
path = ${quoted(storage)}
${lfs === undefined ? '' : `\n[lfs]\n${keysOf(lfs)}`}${hasEvents ? EVENTS : ''}`,
      { durable: false },
    );
  }
}

/** Settings of Praefect's configuration. */
export interface PraefectSettings {
  readonly database: DatabaseKeys;
  /** Of `--grpc`. */
  readonly listen: UpGrpc['listen'];
  /** The change feed and its webhooks, if there is one. */
  readonly events: UpEvents | undefined;
  /** `HOST:PORT` of the listener for monitoring. */
  readonly metrics: string | undefined;
  /** Token of every caller. */
  readonly token: Secret | undefined;
}

/** Writes Praefect's configuration, which also the commands of `praefect` read. */
export async function writePraefectConfig(
  { nodes, praefect }: ClusterFiles,
  { database, events, listen, metrics, token }: PraefectSettings,
): Promise<void> {
  const monitoring = metrics === undefined ? {} : { prometheus_listen_addr: metrics };
  const keys = { socket_path: praefect.socket, ...listen, ...monitoring };
  const webhooks = (events?.webhook ?? []).map((each) => `\n[[webhook]]\n${keysOf(each)}`);
  await replaceFile(
    praefect.config,
    `# Written by gitaly-ts up at each start. For example: praefect --config THIS-FILE dataloss
${keysOf(keys)}graceful_stop_timeout = "5s"
${token === undefined ? '' : `\n[auth]\n${keysOf({ token: token.reveal() })}`}
[logging]
level = "warn"

[database]
${keysOf(database)}
[reconciliation]
scheduling_interval = "10s"
${events === undefined ? '' : EVENTS}${webhooks.join('')}
[[virtual_storage]]
name = ${quoted(VIRTUAL_STORAGE)}
${nodes
  .map(
    ({ name, socket }) =>
      `\n[[virtual_storage.node]]\nstorage = ${quoted(name)}\naddress = ${quoted(`unix:${socket}`)}\n`,
  )
  .join('')}`,
    { durable: false },
  );
}

/** Formats the keys of a TOML table. */
function keysOf(entries: object): string {
  return Object.entries(entries)
    .map(([key, value]) => `${key} = ${typeof value === 'string' ? quoted(value) : String(value)}\n`)
    .join('');
}

/** Formats a TOML string; JSON's escapes are a part of TOML's. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
