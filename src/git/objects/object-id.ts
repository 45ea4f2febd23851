import { quote } from '#base/quote';
import type { ObjectFormatName } from '../object-format.ts';

/** Hexadecimal digits of a full object id. */
export const OID_DIGITS = { sha1: 40, sha256: 64 } as const satisfies Record<ObjectFormatName, number>;

/** The object id that stands for "nothing there". */
export const ZERO_OID = { sha1: '0'.repeat(40), sha256: '0'.repeat(64) } as const satisfies Record<ObjectFormatName, string>;

/**
 * Says why a text is no full object id (all digits, lower case), `undefined` when it is one. Clients know the words:
 * `invalid object ID: "x", expected length 40, got 1`, `…, invalid character 'g'`.
 */
export function objectIdProblem(oid: string | Uint8Array, objectFormat: ObjectFormatName): string | undefined {
  const length = typeof oid === 'string' ? Buffer.byteLength(oid) : oid.length;
  const digits = OID_DIGITS[objectFormat];
  const problem =
    length === digits
      ? strangeCharacter(typeof oid === 'string' ? oid : Buffer.from(oid).toString())
      : `expected length ${digits}, got ${length}`;
  return problem && `invalid object ID: ${quote(oid)}, ${problem}`;
}

function strangeCharacter(oid: string): string | undefined {
  const character = /[^0-9a-f]/u.exec(oid)?.[0];
  if (character === undefined) return undefined;
  const inside = character === '"' ? '"' : quote(character).slice(1, -1);
  return `invalid character '${character === "'" ? String.raw`\'` : inside}'`;
}
