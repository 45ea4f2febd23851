import type { Readable, Writable } from 'node:stream';
import type { PackfileNegotiationStatistics } from '#wire/gen/packfile_pb';

/** Where the far command's streams go. None of them is closed by the functions that take them. */
export interface Stdio {
  readonly stdin: Readable | AsyncIterable<Uint8Array>;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** How the far command ended. */
export interface PackResult {
  /** 0 when the server said nothing about it. */
  readonly exitCode: number;
  /** What an upload-pack was asked for, where the server counts it. */
  readonly packfileNegotiationStatistics?: PackfileNegotiationStatistics | undefined;
}
