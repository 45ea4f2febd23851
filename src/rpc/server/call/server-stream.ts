import type { OutgoingHttpHeaders } from 'node:http2';
import type { Writable } from 'node:stream';

/** The stream of a call as the server uses it: one of `node:http2`, or one in this process. */
export interface ServerStream extends Writable {
  readonly headersSent: boolean;
  /** Code of the reset that ended it. */
  readonly rstCode?: number | undefined;
  /** True when the whole request has arrived. */
  readonly readableEnded: boolean;
  readonly state: { readonly localClose?: number | undefined };
  readonly session?:
    | { readonly remoteSettings: { readonly maxHeaderListSize?: number | undefined } }
    | undefined;
  respond(headers: OutgoingHttpHeaders, options: { endStream?: boolean; waitForTrailers?: boolean }): void;
  sendTrailers(headers: OutgoingHttpHeaders): void;
  /** Resets the stream. */
  close(code?: number): void;
  /** Stops and continues the sender of the request. */
  pause(): unknown;
  resume(): unknown;
}
