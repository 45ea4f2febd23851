import { once } from 'node:events';
import { lstatSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { attempt } from '#base/attempt';
import { systemErrorCode } from '#base/go/system-error';
import { isRunning, ownIdentity, parseIdentity } from '#base/process-identity';

/** A lock that this process holds. */
export interface UpLock {
  /** Sets the text that others receive who want the lock. */
  describe(text: string): void;
  release(): Promise<void>;
}

/** Another process has the lock; the message is what it tells about itself. */
export class LockHeldError extends Error {
  override readonly name = 'LockHeldError';
}

const ANSWER_TIMEOUT_MS = 1000;
const NO_ANSWER = 'it does not respond';
/** Instead of the description of a holder: others have tried to take the lock all the time. */
export const IN_TRANSITION = 'its start has not ended';
/** Errors of a connection to a file that nobody listens on, or that is gone. */
const GONE: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT']);
/** Others take and release the lock meanwhile, each in some milliseconds. */
const MAX_ATTEMPTS = 20;
const PAUSE_MS = 10;

/**
 * Takes a lock. It is a socket on which this process listens: it cannot outlive the process, and it
 * reports its holder.
 *
 * @param initial description of the holder, until it is set.
 * @throws {LockHeldError}; the system's error.
 */
export async function takeLock(path: string, initial = `process ${process.pid}`): Promise<UpLock> {
  let description = initial;
  const asking = new Set<Socket>();
  const server = createServer((socket) => {
    asking.add(socket);
    socket.on('close', () => asking.delete(socket));
    socket.on('error', () => {}).end(description);
  }).unref();
  let refused: string | undefined;
  for (let tries = 1; !(await isListening(server, path)); tries++) {
    const stamp = stampOf(path);
    const holder = await askHolder(path);
    if (holder !== undefined) throw new LockHeldError(holder);
    if (tries === MAX_ATTEMPTS) throw new LockHeldError(IN_TRANSITION);
    // A process that has made its socket does not yet listen for a moment.
    const isStale = stamp !== undefined && stamp === refused;
    if (!isStale || !removeStale(path, stamp)) await delay(PAUSE_MS);
    refused = stamp;
  }
  return {
    describe: (text) => {
      description = `process ${process.pid}, ${text}`;
    },
    release: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of asking) socket.destroy(); // one that was stopped would not close it
      }),
  };
}

/** @returns false if there is a file at the path. @throws the system's error. */
async function isListening(server: Server, path: string): Promise<boolean> {
  try {
    await once(server.listen(path), 'listening');
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EADDRINUSE') return false;
    throw error;
  }
}

/** Returns the description of a lock's holder; `undefined` if no one holds it. */
async function askHolder(path: string): Promise<string | undefined> {
  const socket = connect(path);
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy());
  try {
    return (await text(socket)) || NO_ANSWER;
  } catch (error) {
    return GONE.has(systemErrorCode(error) ?? '') ? undefined : NO_ANSWER;
  }
}

/** Returns a text that only this file at the path has; `undefined` for none. */
function stampOf(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.ino}-${stats.ctimeNs}`;
}

/**
 * Removes the file that a killed process has left. Of several processes that find it, one has the
 * claim on it: the others must not remove the socket that this one makes in its place.
 *
 * @returns false if another process has the claim.
 */
function removeStale(path: string, stamp: string): boolean {
  const claim = `${path}.${stamp}`;
  try {
    symlinkSync(JSON.stringify(ownIdentity()), claim);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    const owner = parseIdentity(attempt(() => readlinkSync(claim)) ?? '');
    if (owner === undefined || isRunning(owner) !== false) return false;
    unlinkSync(claim); // it was killed in between
    return true;
  }
  try {
    if (stampOf(path) === stamp) unlinkSync(path);
  } finally {
    unlinkSync(claim);
  }
  return true;
}
