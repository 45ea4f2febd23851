import { readTar } from './read-tar.ts';
import type { Json, JsonObject } from './recorded-case.ts';

/**
 * Makes the summary that a recording has in place of bulky or volatile responses, in the form that its `as` names.
 * Returns `undefined` for a form that is not known here.
 */
export function derive(as: string, responses: readonly Json[]): JsonObject | undefined {
  if (as.startsWith('concatenated data as text')) return { as, text: withoutAgent(joined(responses, 'data').toString('utf8')) };
  if (as.startsWith('concatenated data as pkt-lines')) return { as, lines: sideBands(pktLines(joined(responses, 'data'))) };
  if (as.startsWith('stdout of all messages as pkt-lines')) return stdio(as, responses);
  return undefined;
}

/** The agent (git's version) is volatile, and the length of the packet that carries it counts it. Applied to both sides. */
export function withoutAgent(text: string): string {
  const lines = text.replaceAll(/agent=[^\s\0]+/g, 'agent=<AGENT>').split('\n');
  return lines.map((line) => (line.includes('agent=<AGENT>') ? line.replace(/^(0000)?[0-9a-f]{4}/, '$1LEN_') : line)).join('\n');
}

/** All bytes of a `bytes` field, over all messages. */
export function joined(responses: readonly Json[], field: string): Buffer {
  // Responses are objects in the recordings' form; absent bytes fields are empty.
  return Buffer.concat(responses.map((response) => Buffer.from(String((response as JsonObject)[field] ?? ''), 'base64')));
}

function stdio(as: string, responses: readonly Json[]): JsonObject {
  const packets = pktLines(joined(responses, 'stdout'));
  const out: JsonObject = {
    as,
    stderr: joined(responses, 'stderr').toString('utf8'),
    exit_status: responses.map((response) => (response as JsonObject).exit_status).filter((status) => status !== undefined),
  };
  if (!as.endsWith('band 1 read as tar')) return { ...out, stdout: sideBands(packets) };
  const tar = Buffer.concat(
    packets.filter((packet) => packet !== 'flush' && packet[0] === 1).map((packet) => Buffer.from(packet).subarray(1)),
  );
  const rest = packets.filter((packet) => packet === 'flush' || packet[0] !== 1);
  return { ...out, stdout: sideBands(rest), entries: readTar(tar) };
}

/** The packets in order: their data, or `flush`. Bytes that are no pkt-line end the list as they are. */
function pktLines(bytes: Buffer): (Buffer | 'flush')[] {
  const packets: (Buffer | 'flush')[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number.parseInt(bytes.toString('latin1', at, at + 4), 16);
    if (length === 0) {
      packets.push('flush');
      at += 4;
    } else if (length >= 4 && at + length <= bytes.length) {
      packets.push(bytes.subarray(at + 4, at + length));
      at += length;
    } else {
      packets.push(bytes.subarray(at));
      break;
    }
  }
  return packets;
}

/** Packets as text; side-band packets as `{band N: …}` with neighbouring ones of a band joined, band 1 read as pkt-lines once more. */
function sideBands(packets: readonly (Buffer | 'flush')[]): Json[] {
  const out: Json[] = [];
  let open: { band: number; bytes: Buffer } | undefined;
  const close = (): void => {
    if (open !== undefined)
      out.push({ [`band ${open.band}`]: open.band === 1 ? pktLines(open.bytes).map(packetText) : open.bytes.toString('utf8') });
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
