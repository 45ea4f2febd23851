import { parseAuthorizedKeys } from '../ssh/keys/authorized-keys.ts';
import { fingerprintOf } from '../ssh/keys/host-key.ts';
import type { KeyEntry, PersonEntry } from './edit-people.ts';

/** A key or a token of a user. */
export interface OwnSecret {
  readonly kind: 'key' | 'token';
  /** The name or fingerprint of a key, the name or id of a token. */
  readonly name: string;
}

/** Removes a key or a token of a person. @returns false if there is none. */
export function removeSecret(person: PersonEntry, { kind, name }: OwnSecret): boolean {
  const { key = [], token = [] } = person;
  const keys = kind === 'key' ? key.filter((one) => !isKey(one, name)) : key;
  const tokens = kind === 'token' ? token.filter((one) => one.name !== name) : token;
  if (keys.length === key.length && tokens.length === token.length) return false;
  person.key = keys;
  person.token = tokens;
  return true;
}

/** Reports whether a key has a name or a fingerprint. */
export function isKey({ key, name }: KeyEntry, wanted: string): boolean {
  return name === wanted || fingerprint(key) === wanted;
}

/** Returns the fingerprint of a key as a file has it. */
export function fingerprint(key: string): string {
  return fingerprintOf(parseAuthorizedKeys(key).keys[0]?.data ?? Buffer.alloc(0));
}
