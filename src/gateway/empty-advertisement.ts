import { Writable } from 'node:stream';
import { FLUSH_PACKET, packetAt, sizeOfPacket, textPacket } from '#base/pkt-line/packet';

export type ObjectFormatName = 'sha1' | 'sha256';

/**
 * Capabilities that every supported git has in `receive-pack`; Gitaly enables push options.
 * @see git: builtin/receive-pack.c, show_ref.
 */
const CAPABILITIES =
  'report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options';

/**
 * The last capability, as in git: libgit2 takes the line feed for a part of an `object-format` at
 * the end of the line. The gateway does not know the version of the server's git.
 */
const AGENT = 'agent=git/gitaly-ts';

/**
 * Returns what `git receive-pack` advertises for a repository without references.
 *
 * @param protocol `version=1` for protocol version 1; everything else is version 0, as version 2
 *   has no push.
 */
export function emptyAdvertisement(objectFormat: ObjectFormatName, protocol: string): Buffer {
  const noObject = '0'.repeat(objectFormat === 'sha256' ? 64 : 40);
  return Buffer.concat([
    ...(protocol === 'version=1' ? [textPacket('version 1\n')] : []),
    textPacket(`${noObject} capabilities^{}\0${CAPABILITIES} object-format=${objectFormat} ${AGENT}\n`),
    FLUSH_PACKET,
  ]);
}

/** A line without a reference. @see git: builtin/receive-pack.c, write_head_info */
const NO_REFERENCES = Buffer.from(' capabilities^{}\0');
/** The line is in these bytes: after `# service=…`, a flush packet, `version 1` and an object id. */
const BEGINNING_BYTES = 256;

/** The beginning of an advertisement, as it passes. */
export class AdvertisementWatch {
  #beginning = Buffer.alloc(0);

  /** Reports whether the repository has no references. */
  get isEmpty(): boolean {
    return this.#beginning.includes(NO_REFERENCES);
  }

  see(chunk: Uint8Array): void {
    const missing = BEGINNING_BYTES - this.#beginning.length;
    if (missing > 0) this.#beginning = Buffer.concat([this.#beginning, chunk.subarray(0, missing)]);
  }

  /** Returns a stream that writes to `target` what this sees. Ending it leaves `target` open. */
  before(target: Writable): Writable {
    const write: Write = (chunk, _encoding, done) => {
      this.see(chunk);
      target.write(chunk, done);
    };
    return passThrough(write);
  }
}

/**
 * Returns a stream that drops everything up to the first flush packet and writes the rest to
 * `target`: the client of a new repository has received its advertisement already. It buffers at
 * most one packet. Ending it leaves `target` open.
 */
export function withoutAdvertisement(target: Writable): Writable {
  let pending: Buffer | undefined = Buffer.alloc(0);
  const write: Write = (chunk, _encoding, done) => {
    let rest = chunk;
    if (pending !== undefined) {
      rest = Buffer.concat([pending, chunk]);
      for (let isOver = false; !isOver; ) {
        const packet = packetAt(rest, 0);
        if (packet === 'incomplete') {
          pending = rest;
          done();
          return;
        }
        // bytes that are not packets are left to the client, which reports them
        if (packet !== 'invalid') rest = rest.subarray(sizeOfPacket(packet));
        isOver = packet === 'invalid' || packet === 'flush';
      }
      pending = undefined;
    }
    if (rest.length === 0) done();
    else target.write(rest, done);
  };
  return passThrough(write);
}

type Write = (chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void) => void;

/** Returns a stream that holds nothing: a writer that waits for it knows that its target has all. */
function passThrough(write: Write): Writable {
  const stream = new Writable({ write, highWaterMark: 1 });
  return stream.on('error', () => {}); // writes report errors to the writer
}
