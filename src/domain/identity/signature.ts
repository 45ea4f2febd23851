import type { Ident } from '#git/objects/format-ident';
import { formatOffset, zoneOffsetMinutes } from './time-zone.ts';

/** A user as requests name one. */
export interface Person {
  readonly name: Uint8Array;
  readonly email: Uint8Array;
  /** IANA name; empty for UTC. */
  readonly timezone: string;
}

/**
 * The identity that a person signs an object with. What would end a line or an address is left out of the name and the address, nothing else.
 *
 * @param seconds since 1970; `undefined` for now.
 * @throws {GitalyError} INVALID_ARGUMENT for a time zone that nobody knows (see {@link zoneOffsetMinutes}).
 */
export function signatureOf(person: Person, seconds: bigint | undefined): Ident {
  const when = seconds ?? BigInt(Math.floor(Date.now() / 1000));
  return {
    name: withoutDelimiters(person.name),
    email: withoutDelimiters(person.email),
    seconds: when,
    timezone: formatOffset(zoneOffsetMinutes(person.timezone, when)),
  };
}

/** Line feeds and angle brackets delimit the parts of an identity. */
function withoutDelimiters(text: Uint8Array): Uint8Array {
  return text.filter((byte) => byte !== 0x0a && byte !== 0x3c && byte !== 0x3e);
}
