import { packetAt, sizeOfPacket } from '#base/pkt-line/packet';
import { readTar } from './read-tar.ts';
import type { Json, JsonObject } from './recorded-case.ts';

/**
 * Computes the summary that replaces bulky or volatile responses in a recording, in the form named
 * by `as`. Returns `undefined` for an unknown form.
 */
export function derive(as: string, responses: readonly Json[]): JsonObject | undefined {
  if (as.startsWith('concatenated data as text'))
    return { as, text: withoutAgent(joined(responses, 'data').toString('utf8')) };
  if (as.startsWith('concatenated data as pkt-lines'))
    return { as, lines: sideBands(pktLines(joined(responses, 'data'))) };
  if (as.startsWith('header of the bundle')) return { as, header: bundleHeader(joined(responses, 'data')) };
  if (as.startsWith('concatenated data read as tar'))
    return { as, entries: tarEntries(joined(responses, 'data'), as.includes('objects without')) };
  if (as.startsWith('stdout of all messages as pkt-lines')) return stdio(as, responses);
  return undefined;
}

/** Returns the lines of a bundle up to the empty one. */
function bundleHeader(bundle: Buffer): Json[] {
  const end = bundle.indexOf('\n\n');
  const lines = bundle.toString('utf8', 0, end === -1 ? bundle.length : end);
  return lines.split('\n').filter((line) => line !== '');
}

/** @param isReduced leaves out what depends on the compression of objects. */
function tarEntries(tar: Buffer, isReduced: boolean): Json[] {
  // Entries are objects.
  const entries = readTar(tar) as JsonObject[];
  if (!isReduced) return entries;
  return entries.map((entry) => {
    if (!String(entry.name).startsWith('objects/')) return entry;
    const { name = '', type = '', mode = '' } = entry;
    return { name, type, mode };
  });
}

/**
 * Removes the agent (git's version), which is volatile, and adapts the length of its packet.
 * Applied to both sides.
 */
export function withoutAgent(text: string): string {
  const lines = text.replaceAll(/agent=[^\s\0]+/g, 'agent=<AGENT>').split('\n');
  return lines
    .map((line) => (line.includes('agent=<AGENT>') ? line.replace(/^(0000)?[0-9a-f]{4}/, '$1LEN_') : line))
    .join('\n');
}

/** Returns all bytes of a `bytes` field, over all messages. */
export function joined(responses: readonly Json[], field: string): Buffer {
  // Responses are objects in the recordings' form; absent bytes fields are empty.
  return Buffer.concat(
    responses.map((response) => Buffer.from(String((response as JsonObject)[field] ?? ''), 'base64')),
  );
}

function stdio(as: string, responses: readonly Json[]): JsonObject {
  const packets = pktLines(joined(responses, 'stdout'));
  const out: JsonObject = {
    as,
    stderr: joined(responses, 'stderr').toString('utf8'),
    exit_status: responses
      .map((response) => (response as JsonObject).exit_status)
      .filter((status) => status !== undefined),
  };
  if (!as.endsWith('band 1 read as tar')) return { ...out, stdout: sideBands(packets) };
  const tar = Buffer.concat(
    packets
      .filter((packet) => packet !== 'flush' && packet[0] === 1)
      .map((packet) => Buffer.from(packet).subarray(1)),
  );
  const rest = packets.filter((packet) => packet === 'flush' || packet[0] !== 1);
  return { ...out, stdout: sideBands(rest), entries: readTar(tar) };
}

/**
 * Returns the packets in order: their data, or `flush`. Bytes that are not a pkt-line end the list
 * unchanged.
 */
function pktLines(bytes: Buffer): (Buffer | 'flush')[] {
  const packets: (Buffer | 'flush')[] = [];
  for (let at = 0; at < bytes.length; ) {
    const packet = packetAt(bytes, at);
    if (typeof packet === 'string' && packet !== 'flush') {
      packets.push(bytes.subarray(at));
      break;
    }
    packets.push(packet);
    at += sizeOfPacket(packet);
  }
  return packets;
}

/**
 * Returns packets as text; side-band packets as `{band N: …}` with adjacent ones of a band joined,
 * band 1 parsed as pkt-lines again.
 */
function sideBands(packets: readonly (Buffer | 'flush')[]): Json[] {
  const out: Json[] = [];
  let open: { band: number; bytes: Buffer } | undefined;
  const close = (): void => {
    if (open !== undefined)
      out.push({
        [`band ${open.band}`]:
          open.band === 1 ? pktLines(open.bytes).map(packetText) : open.bytes.toString('utf8'),
      });
    open = undefined;
  };
  for (const packet of packets) {
    const band = packet === 'flush' ? 0 : (packet[0] ?? 0);
    if (packet !== 'flush' && band >= 1 && band <= 3) {
      if (open?.band === band) open.bytes = Buffer.concat([open.bytes, packet.subarray(1)]);
      else {
        close();
        open = { band, bytes: packet.subarray(1) };
      }
      continue;
    }
    close();
    out.push(packetText(packet));
  }
  close();
  return out;
}

function packetText(packet: Buffer | 'flush'): string {
  return packet === 'flush' ? 'flush' : packet.toString('utf8').replace(/agent=[^\s\0]+/, 'agent=<AGENT>');
}
