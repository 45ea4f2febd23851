/** A public key in wire format (RFC 4253, 6.6): length-prefixed fields. */
export interface PublicKey {
  /** `ssh-ed25519`, `ssh-rsa` … */
  readonly type: string;
  readonly data: Buffer;
}

const MIN_RSA_BITS = 2048;
const USABLE_TYPES = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
];

/** Returns the reason why a key is refused; `undefined` if it is accepted. */
export function weaknessOf({ data, type }: PublicKey): string | undefined {
  if (!USABLE_TYPES.includes(type)) return `keys of type ${type} are not accepted`;
  const [name, , modulus] = fieldsOf(data);
  if (name?.toString('latin1') !== type) return `it is not a key of type ${type}`;
  if (type !== 'ssh-rsa') return undefined;
  return bitsOf(modulus ?? Buffer.alloc(0)) < MIN_RSA_BITS
    ? `RSA keys need at least ${MIN_RSA_BITS} bits`
    : undefined;
}

/** Returns the whole fields. */
function fieldsOf(data: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at + 4 <= data.length; ) {
    const end = at + 4 + data.readUInt32BE(at);
    if (end > data.length) break;
    fields.push(data.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

function bitsOf(number: Buffer): number {
  const start = number.findIndex((byte) => byte !== 0);
  return start === -1 ? 0 : (number.length - start) * 8 - Math.clz32(number[start] ?? 0) + 24;
}
