/**
 * Packets (pkt-lines): four hexadecimal digits, the length of digits and payload, then the payload.
 * Lengths below four represent packets without payload.
 */

/** Maximum size of a packet, including the digits. @see git: pkt-line.h, LARGE_PACKET_MAX. */
export const MAX_PACKET_BYTES = 65520;

/** Number of digits before a payload. */
export const LENGTH_DIGITS = 4;

export const MAX_PACKET_PAYLOAD_BYTES = MAX_PACKET_BYTES - LENGTH_DIGITS;

/** The packet that ends a list of packets. */
export const FLUSH_PACKET = Buffer.from('0000');

/** The packets without payload, in the order of their lengths 0 to 3. */
const SPECIAL_PACKETS = ['flush', 'delimiter', 'response-end', 'reserved'] as const;

/** The payload of a packet, or the name of one that has none. */
export type Packet = Buffer | (typeof SPECIAL_PACKETS)[number];

const HEX = Buffer.from('0123456789abcdef');

/** Value of each byte as a hexadecimal digit; 255 for all other bytes. */
const DIGIT_VALUE = Uint8Array.from({ length: 256 }, (_, byte) => {
  const value = HEX.indexOf(String.fromCharCode(byte).toLowerCase());
  return value === -1 ? 255 : value;
});

/** Returns the four digits for `payloadBytes` bytes of payload. */
export function packetHeader(payloadBytes: number): Buffer {
  const header = Buffer.allocUnsafe(LENGTH_DIGITS);
  writePacketLength(header, 0, payloadBytes + LENGTH_DIGITS);
  return header;
}

/** Writes the four digits of a packet of `length` bytes, including the digits, into `target`. */
export function writePacketLength(target: Buffer, at: number, length: number): void {
  for (let digit = 0; digit < LENGTH_DIGITS; digit++)
    target[at + digit] = HEX[(length >>> (12 - 4 * digit)) & 15] ?? 0;
}

/** Returns the four digits for `payloadBytes` bytes of payload as text. */
export function packetDigits(payloadBytes: number): string {
  return (payloadBytes + LENGTH_DIGITS).toString(16).padStart(LENGTH_DIGITS, '0');
}

/** Returns a packet with a copy of the payload. */
export function packet(payload: Uint8Array): Buffer {
  return Buffer.concat([packetHeader(payload.length), payload]);
}

/** Returns a packet with a text as payload, by default as UTF-8. */
export function textPacket(text: string, encoding: 'utf8' | 'latin1' = 'utf8'): Buffer {
  const bytes = Buffer.allocUnsafe(LENGTH_DIGITS + Buffer.byteLength(text, encoding));
  writePacketLength(bytes, 0, bytes.length);
  bytes.write(text, LENGTH_DIGITS, encoding);
  return bytes;
}

/**
 * Reads four digits. Returns `undefined` if they are not digits or not a valid length; `bytes` must
 * have four bytes at `at`.
 */
export function packetLength(bytes: Uint8Array, at: number): number | undefined {
  let length = 0;
  for (let index = at; index < at + LENGTH_DIGITS; index++) {
    const value = DIGIT_VALUE[bytes[index] ?? 0] ?? 255;
    if (value > 15) return undefined;
    length = length * 16 + value;
  }
  return length > MAX_PACKET_BYTES ? undefined : length;
}

/**
 * Reads the packet that begins at `at`; its payload is a view. Returns `incomplete` if it extends
 * beyond the last byte, `invalid` if it is not a packet.
 */
export function packetAt(bytes: Buffer, at: number): Packet | 'incomplete' | 'invalid' {
  if (bytes.length - at < LENGTH_DIGITS) return 'incomplete';
  const length = packetLength(bytes, at);
  if (length === undefined) return 'invalid';
  if (length < LENGTH_DIGITS) return SPECIAL_PACKETS[length] ?? 'invalid';
  return at + length > bytes.length ? 'incomplete' : bytes.subarray(at + LENGTH_DIGITS, at + length);
}

/** Returns the size of a packet in bytes, including the digits. */
export function sizeOfPacket(packet: Packet): number {
  return LENGTH_DIGITS + (typeof packet === 'string' ? 0 : packet.length);
}
