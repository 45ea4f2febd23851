import type { Readable, Writable } from 'node:stream';
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
