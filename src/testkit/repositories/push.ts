import { packetAt, packetHeader, sizeOfPacket } from '#base/pkt-line/packet';
import { ZERO_OID as ZEROS } from '#git/names/object-id';

/** Returns a packet of git's protocols as text. */
export function packet(text: string): string {
  return packetHeader(Buffer.byteLength(text)).toString('latin1') + text;
}

export const FLUSH = '0000';

/** A pack without objects, for pushes of objects that the repository already has. */
export const EMPTY_PACK = Buffer.from(
  '5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e',
  'hex',
);

export const ZERO_OID = ZEROS.sha1;

/** Returns the data that a git client sends for a push of `<old> <new> <reference>` lines. */
export function pushBody(
  commands: readonly string[],
  options: { capabilities?: string; pushOptions?: readonly string[]; pack?: Uint8Array } = {},
): Buffer {
  const { capabilities = 'report-status side-band-64k', pushOptions, pack = EMPTY_PACK } = options;
  const features = pushOptions === undefined ? capabilities : `${capabilities} push-options`;
  const lines = commands
    .map((command, index) => packet(index === 0 ? `${command}\0 ${features}` : command))
    .join('');
  const optionLines = pushOptions === undefined ? '' : pushOptions.map(packet).join('') + FLUSH;
  return Buffer.concat([Buffer.from(lines + FLUSH + optionLines), pack]);
}

/**
 * Returns the texts of a response with side bands, by band; `report` is the list of lines in band
 * 1.
 */
export function readReport(answer: Uint8Array): { report: string[]; messages: string } {
  const bands: Record<number, string> = { 1: '', 2: '' };
  for (const line of packets(answer)) {
    const band = line[0] ?? 0;
    bands[band] = (bands[band] ?? '') + line.subarray(1).toString();
  }
  const report = packets(Buffer.from(bands[1] ?? '')).map((line) => line.toString().trimEnd());
  return { report, messages: bands[2] ?? '' };
}

/** Returns the data of the packets in `bytes`; packets without data are omitted. */
export function packets(bytes: Uint8Array): Buffer[] {
  const buffer = Buffer.from(bytes);
  const found: Buffer[] = [];
  for (let at = 0; at < buffer.length; ) {
    const next = packetAt(buffer, at);
    if (next === 'incomplete' || next === 'invalid') throw new Error(`no packet at ${at}: ${buffer}`);
    if (typeof next !== 'string' && next.length > 0) found.push(next);
    at += sizeOfPacket(next);
  }
  return found;
}
