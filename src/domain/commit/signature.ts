import type { Ident } from '#git/objects/write/format-ident';
import { formatOffset, zoneOffsetMinutes } from './time-zone.ts';

/** A user of a request. */
export interface Person {
  readonly name: Uint8Array;
  readonly email: Uint8Array;
  /** IANA name; empty for UTC. */
  readonly timezone: string;
}

/**
 * Returns the identity of a person for a new object. Line feeds and angle brackets are removed from
 * the name and the address.
 *
 * @param seconds since 1970; `undefined` for now.
 * @throws {GitalyError} INVALID_ARGUMENT for an unknown time zone (see
 *   {@link zoneOffsetMinutes}).
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
  // As a string, with one character per byte: a mebibyte takes 2 ms instead of 80.
  const cleaned = Buffer.from(text)
    .toString('latin1')
    .replace(/[\n<>]+/g, '');
  return Buffer.from(cleaned, 'latin1');
}
