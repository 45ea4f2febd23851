const LINE_LENGTH = 64;
const CRC_START = 0xb704ce;
const CRC_POLYNOMIAL = 0x1864cfb;

/**
 * Encodes binary data in the text form with the checksum that older programs require; no line feed
 * at the end.
 */
export function armor(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(new RegExp(`.{1,${LINE_LENGTH}}`, 'g')) ?? [];
  const checksum = Buffer.alloc(3);
  checksum.writeUIntBE(crc24(bytes), 0, 3);
  return [
    `-----BEGIN ${label}-----`,
    '',
    ...lines,
    `=${checksum.toString('base64')}`,
    `-----END ${label}-----`,
  ].join('\n');
}

/**
 * Decodes the first block with a label; `undefined` without one. The checksum is not verified (RFC
 * 9580, section 6.1).
 */
export function dearmor(label: string, text: Buffer): Buffer | undefined {
  const lines = text.toString('latin1').split(/\r?\n/);
  const begin = lines.findIndex((line) => line.trimEnd() === `-----BEGIN ${label}-----`);
  const end = lines.findIndex((line, index) => index > begin && line.trimEnd() === `-----END ${label}-----`);
  if (begin === -1 || end === -1) return undefined;
  const inside = lines.slice(begin + 1, end);
  const headers = inside.findIndex((line) => line.trim() === '');
  const body = inside.slice(headers + 1).filter((line) => !line.startsWith('='));
  return Buffer.from(body.join(''), 'base64');
}

/** Calculates the checksum of RFC 4880, section 6.1. */
function crc24(bytes: Buffer): number {
  let crc = CRC_START;
  for (const byte of bytes) {
    crc ^= byte << 16;
    for (let bit = 0; bit < 8; bit++) {
      crc <<= 1;
      if ((crc & 0x1000000) !== 0) crc ^= CRC_POLYNOMIAL;
    }
  }
  return crc & 0xffffff;
}
