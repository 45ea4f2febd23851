import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Archive } from '#archive/archive';
import { type Connection, dial } from '#client/index';
import { archiveOf } from '#gitaly/archive';
import { GitalyServer } from '#gitaly/gitaly-server';
import { configFrom } from '#platform/config/load-config';
import { createLogger } from '#platform/log/logger';

export interface ArchivedServer extends AsyncDisposable {
  readonly server: GitalyServer;
  readonly archive: Archive;
  readonly connection: Connection;
  /** Directory of the storage `default`. */
  readonly storage: string;
  readonly log: readonly string[];
}

export interface ArchivedServerOptions {
  /** Directory of the storage and the sockets. */
  readonly directory: string;
  /** URL of the archive; default: the directory `bucket` next to the storage. */
  readonly url?: string | readonly string[];
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Starts a server in this process whose storage is archived. It can be started again later. */
export async function startArchived({
  config = {},
  directory,
  url = pathToFileURL(join(directory, 'bucket')).href,
}: ArchivedServerOptions): Promise<ArchivedServer> {
  const storage = join(directory, 'default');
  for (const path of [storage, join(directory, 'run')]) mkdirSync(path, { recursive: true });
  const log: string[] = [];
  const stream = { write: (line: string) => log.push(line) };
  const server = await GitalyServer.start({
    logger: createLogger({ format: 'text', level: 'info', stream }),
    config: configFrom({
      socket_path: join(directory, 'gitaly.socket'),
      runtime_dir: join(directory, 'run'),
      // It would clean configurations at any time, also between two looks of a test.
      housekeeping: { automatic: false },
      storage: [{ name: 'default', path: storage, archive: url }],
      ...config,
    }),
  });
  const archive = archiveOf(server);
  if (archive === undefined) throw new Error('the server has no archive');
  const connection = await dial(server.addresses.unix ?? '');
  return {
    server,
    archive,
    connection,
    storage,
    log,
    [Symbol.asyncDispose]: async () => {
      await connection.close();
      await server[Symbol.asyncDispose]();
    },
  };
}
