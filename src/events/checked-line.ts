import { crc32 } from 'node:zlib';

const CRC_DIGITS = 8;
const HEX = 16;

/** Returns a line of a file: a checksum, and JSON, which has no line feed. */
export function formatCheckedLine(value: object): string {
  const json = JSON.stringify(value);
  return `${checksum(json)} ${json}\n`;
}

/** Returns the JSON of a line without its line feed; `undefined` for one that was not completed. */
export function parseCheckedLine(line: Buffer): string | undefined {
  const json = line.toString('utf8', CRC_DIGITS + 1);
  return line.toString('latin1', 0, CRC_DIGITS) === checksum(json) ? json : undefined;
}

function checksum(json: string): string {
  return crc32(json).toString(HEX).padStart(CRC_DIGITS, '0');
}
