import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';

/** PostgreSQL's socket in the directory that clients get as `host`. */
const SOCKET = '.s.PGSQL.5432';
/**
 * The text of a statement in a message of the extended or the simple protocol, or the name of a
 * prepared one.
 */
const ANY_STATEMENT =
  /(?:P[\s\S]{4}\0|Q[\s\S]{4})\s*(?:WITH|SELECT|INSERT|UPDATE|DELETE|BEGIN)[^\0]*\0|B[\s\S]{4}\0(?:record|route)_\w+\0/gi;
/** Health checks, verification, copies and locks, which run at intervals. */
const BACKGROUND = /node_status|verif|replication_queue|write_locks|pg_notify/;

/** Passes connections on to a PostgreSQL, and counts the statements of calls. */
export class StatementCounter implements AsyncDisposable {
  /** Directory of its socket. */
  readonly host: string;
  /** Statements so far, without those that run at intervals. */
  count = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((near) => this.#join(near));
  readonly #target: string;

  private constructor(target: string, directory: string) {
    this.#target = target;
    this.host = directory;
  }

  /** @param target directory of PostgreSQL's socket @param directory of the new one */
  static async start(target: string, directory: string): Promise<StatementCounter> {
    const counter = new StatementCounter(join(target, SOCKET), directory);
    counter.#server.listen(join(directory, SOCKET));
    await once(counter.#server, 'listening');
    return counter;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(near: Socket): void {
    const far = connect(this.#target);
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => {}); // the other end sees the connection end
      socket.on('close', () => {
        near.destroy();
        far.destroy();
        this.#sockets.delete(socket);
      });
    }
    near.on('data', (chunk: Buffer) => {
      for (const [text] of chunk.toString('latin1').matchAll(ANY_STATEMENT))
        if (!BACKGROUND.test(text)) this.count++;
    });
    near.pipe(far);
    far.pipe(near);
  }
}
