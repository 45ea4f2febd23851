import { isIP } from 'node:net';

/**
 * Returns the address by which a client's packs are limited, in its usual form; `undefined` for
 * clients that are not limited: those of this machine, and those whose address is not known.
 *
 * @param text an IP address, possibly with a port.
 */
export function limitedAddress(text: string): string | undefined {
  const address = addressOf(text);
  const family = isIP(address);
  if (family === 4) return address.startsWith('127.') ? undefined : address;
  if (family !== 6 || address.includes('%')) return undefined;
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [, high = '', low = ''] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical) ?? [];
  if (high === '') return canonical === '::1' ? undefined : canonical;
  const mapped = [high, low].flatMap((part) => {
    const value = Number.parseInt(part, 16);
    return [value >> 8, value & 0xff];
  });
  return mapped[0] === 127 ? undefined : mapped.join('.');
}

function addressOf(text: string): string {
  if (isIP(text) !== 0) return text;
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*)):[^:]*$/.exec(text) ?? [];
  return bracketed ?? plain ?? '';
}
