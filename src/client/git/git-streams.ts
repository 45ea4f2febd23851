import { type Readable, Stream, type Writable } from 'node:stream';
import type { PackfileNegotiationStatistics } from '#wire/gen/packfile_pb';

/** The streams of the remote command. The functions that take them close none of them. */
export interface Stdio {
  readonly stdin: Readable | AsyncIterable<Uint8Array>;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** The result of the remote command. */
export interface PackResult {
  /** Exit code; 0 if the server sent none. */
  readonly exitCode: number;
  /** Statistics of an upload-pack request, if the server counts them. */
  readonly packfileNegotiationStatistics?: PackfileNegotiationStatistics | undefined;
}

/**
 * Ignores the errors of a command's streams until the result is disposed: the next read or write
 * reports them. An error without a listener would end the process.
 */
export function hearErrors({
  stdin,
  stdout,
  stderr,
}: Pick<Stdio, 'stdin' | 'stdout'> & Partial<Stdio>): Disposable {
  const streams = [stdin, stdout, stderr].filter((stream) => stream instanceof Stream);
  for (const stream of streams) stream.on('error', ignore);
  return {
    [Symbol.dispose]() {
      for (const stream of streams) stream.off('error', ignore);
    },
  };
}

function ignore(): void {}
