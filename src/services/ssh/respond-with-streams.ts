import type { Writable } from 'node:stream';
import { messageWriter, type Respond } from '#services/convert/response/stream-responses';

/** A response of the SSH service's streams: bytes of one of git's outputs, or git's exit status. */
export interface SshResponse {
  stdout?: Uint8Array;
  stderr?: Uint8Array;
  exitStatus?: { value: number };
}

/** Streams for git's two outputs; their messages come in the order in which git wrote. */
export function outputStreams(respond: Respond<SshResponse>): { stdout: Writable; stderr: Writable } {
  return {
    stdout: messageWriter(respond, (stdout) => ({ stdout })),
    stderr: messageWriter(respond, (stderr) => ({ stderr })),
  };
}
