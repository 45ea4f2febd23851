import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';

const DIGITS = { sha1: 40, sha256: 64 } as const;

/**
 * Checks a full object id of a request: all its digits, lower case.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `invalid object ID: "x", expected length 40, got 1`, `…, invalid character 'g'`.
 */
export function requireObjectId(oid: string, objectFormat: 'sha1' | 'sha256'): string {
  const length = Buffer.byteLength(oid);
  const problem =
    length === DIGITS[objectFormat] ? strangeCharacter(oid) : `expected length ${DIGITS[objectFormat]}, got ${length}`;
  if (problem !== undefined) throw new GitalyError('INVALID_ARGUMENT', `invalid object ID: ${quote(oid)}, ${problem}`);
  return oid;
}

function strangeCharacter(oid: string): string | undefined {
  const character = /[^0-9a-f]/u.exec(oid)?.[0];
  if (character === undefined) return undefined;
  const inside = character === '"' ? '"' : quote(character).slice(1, -1);
  return `invalid character '${character === "'" ? String.raw`\'` : inside}'`;
}
