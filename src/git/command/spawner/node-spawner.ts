import { isUtf8 } from 'node:buffer';
import { type SpawnOptions, spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { systemErrorCode } from '#base/go/system-error';
import { throughShell } from './join-group.ts';
import {
  type Arg,
  type ChildExit,
  SpawnError,
  type SpawnedChild,
  type Spawner,
  type SpawnRequest,
} from './spawner.ts';

/**
 * Returns a spawner that uses `node:child_process`. It works everywhere, but it forks (blocks the
 * event loop for 1 ms and more, growing with resident memory), reports no resource usage, provides
 * only sockets, and cannot pass bytes that are not UTF-8.
 *
 * @param fallbackReason why it is used instead of the faster spawner
 */
export function createNodeSpawner(fallbackReason?: string): Spawner {
  return { name: 'child_process', fallbackReason, spawn: spawnChild };
}

function spawnChild(given: SpawnRequest): SpawnedChild {
  const request = given.controlGroup === undefined ? given : throughShell(given, given.controlGroup);
  const { file, argv, stdin, stdout, stderr } = request;
  const options: SpawnOptions = {
    argv0: text(argv[0] ?? file),
    env: Object.fromEntries(Object.entries(request.env).map(([key, value]) => [key, text(value)])),
    // A new session is also a new process group.
    detached: true,
    stdio: [stdin, stdout, stderr, ...Array.from({ length: request.extraPipes }, () => 'pipe' as const)],
    ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
  };
  const child = spawn(file, argv.slice(1).map(text), options);
  const { pid } = child;
  if (pid === undefined) {
    // Node reports the reason in a later event; the caller needs it now, so it is derived from the
    // file.
    child.on('error', () => {});
    throw new SpawnError(file, refusal(file, request.cwd));
  }
  // Node has no more precise type for stdio beyond stdin. A 'pipe' entry is a duplex stream, though
  // not of Node's class with Bun.
  const stdio = child.stdio as unknown as (Duplex | null | undefined)[];
  // Node resumes every stream in this list when the child has exited, and drops data that has no
  // reader at that moment.
  const streams = stdio.splice(0);
  const exited = new Promise<ChildExit>((resolve) => {
    child.on('error', () => {});
    child.once('exit', (code, signal) =>
      resolve({ code: code ?? undefined, signal: signal ?? undefined, usage: undefined }),
    );
  });
  const extra = streams
    .slice(3)
    .filter((socket): socket is Duplex => socket !== null && socket !== undefined);
  return {
    pid,
    stdin: streams[0] ?? undefined,
    stdout: streams[1] ?? undefined,
    stderr: streams[2] ?? undefined,
    extra,
    exited,
  };
}

/**
 * Returns the error of a failed start: an invalid directory, an invalid file, or otherwise a lack
 * of resources.
 */
function refusal(file: string, cwd: string | undefined): string {
  try {
    if (cwd !== undefined && !statSync(cwd).isDirectory()) return 'ENOTDIR';
    accessSync(file, constants.X_OK);
    return 'EAGAIN';
  } catch (error) {
    return systemErrorCode(error) ?? 'EAGAIN';
  }
}

function text(value: Arg): string {
  if (typeof value === 'string') return value;
  if (!isUtf8(value)) throw new Error('child_process cannot pass an argument that is not UTF-8');
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();
}
