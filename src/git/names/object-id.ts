import { quote } from '#base/go/quote';
import type { ObjectFormatName } from '../repository-files/repository-format.ts';

/** A full object id: hexadecimal digits in lower case, 40 (SHA-1) or 64 (SHA-256) of them. */
export type Oid = string & { readonly __oid: 'hex' };

export type OidDigits = 40 | 64;
export type OidBytes = 20 | 32;

/** Hexadecimal digits of a full object id. */
export const OID_DIGITS = { sha1: 40, sha256: 64 } as const satisfies Record<ObjectFormatName, OidDigits>;

/** Bytes of an object id in trees, packs and commit-graphs. */
export const OID_BYTES = { sha1: 20, sha256: 32 } as const satisfies Record<ObjectFormatName, OidBytes>;

/** The object id that means "no object". */
export const ZERO_OID: Readonly<Record<ObjectFormatName, Oid>> = {
  sha1: trustedOid('0'.repeat(OID_DIGITS.sha1)),
  sha256: trustedOid('0'.repeat(OID_DIGITS.sha256)),
};

/** The empty tree. git has it in every repository, whether it is stored or not. */
export const EMPTY_TREE: Readonly<Record<ObjectFormatName, Oid>> = {
  sha1: trustedOid('4b825dc642cb6eb9a060e54bf8d69288fbee4904'),
  sha256: trustedOid('6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321'),
};

/** Regular expression source of a full object id. */
export const OID_SOURCE = '[0-9a-f]{40}(?:[0-9a-f]{24})?';

/** Returns the regular expression source of digits in either case. */
export function oidInAnyCaseSource(digits: OidDigits): string {
  return `[0-9a-fA-F]{${digits}}`;
}

/** Regular expression source of a possible full or abbreviated object id. */
export const SHORT_OID_SOURCE = '[0-9a-fA-F]{4,}';

const OID = new RegExp(`^${OID_SOURCE}$`);
const ONLY_ZEROS = /^0+$/;

/**
 * Matches the shorter kind of id followed by zeros, up to the length of the longer kind, alone or
 * peeled.
 *
 * @see git: in a SHA-1 repository git accepts it as the id without the zeros
 */
const PADDED = /^([0-9a-fA-F]{40})0{1,24}(\^\{[a-z]*\})?$/;

/** Returns the text as an object id; `undefined` if it is not one, or one of another format. */
export function parseOid(text: string, objectFormat?: ObjectFormatName): Oid | undefined {
  return isOid(text, objectFormat) ? text : undefined;
}

/** Reports whether a text is a full object id, of one format or of either. */
export function isOid(text: string, objectFormat?: ObjectFormatName): text is Oid {
  return OID.test(text) && (objectFormat === undefined || text.length === OID_DIGITS[objectFormat]);
}

/** Reports whether a text is a full object id with letters of either case, as git reads it. */
export function isOidInAnyCase(text: string, objectFormat?: ObjectFormatName): boolean {
  return isOid(text.toLowerCase(), objectFormat);
}

/** Reports whether ids of some format have that many digits. */
export function isOidLength(digits: number): digits is OidDigits {
  return digits === OID_DIGITS.sha1 || digits === OID_DIGITS.sha256;
}

/** Reports whether an object id means "no object". */
export function isZeroOid(oid: string): boolean {
  return ONLY_ZEROS.test(oid);
}

/** Returns the zero id of the same format. */
export function zeroOidLike(oid: string): Oid {
  return oid.length === OID_DIGITS.sha1 ? ZERO_OID.sha1 : ZERO_OID.sha256;
}

/** Returns the size of an object id in binary. */
export function oidBytesOf(oid: string): OidBytes {
  return oid.length === OID_DIGITS.sha1 ? OID_BYTES.sha1 : OID_BYTES.sha256;
}

/**
 * Returns a text as an object id without checking it, for a match of {@link OID_SOURCE} or git's
 * output.
 */
export function trustedOid(text: string): Oid {
  return text as Oid; // trusted by the caller; every other id in the program was checked
}

/** Reads an object id from its bytes, by default from all of them. */
export function oidAt(bytes: Buffer, at = 0, length: number = bytes.length): Oid {
  return trustedOid(bytes.toString('hex', at, at + length));
}

/**
 * Returns a SHA-1 revision without the ignored zeros after an id; `undefined` for any other
 * revision.
 */
export function cutPaddedOid(revision: string): string | undefined {
  const [, oid, peel = ''] = PADDED.exec(revision) ?? [];
  return oid === undefined ? undefined : oid + peel;
}

/**
 * Describes why a text is not a full object id (all digits, lower case); `undefined` if it is one.
 * Clients know the text: `invalid object ID: "x", expected length 40, got 1`, `…, invalid character
 * 'g'`.
 */
export function objectIdProblem(
  oid: string | Uint8Array,
  objectFormat: ObjectFormatName,
): string | undefined {
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
