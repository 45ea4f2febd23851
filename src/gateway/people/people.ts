import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GitalyError } from '#base/gitaly-error';
import { parseSshPublicKey } from '#base/ssh/ssh-public-key';
import { isSshSignatureOf, signerOf } from '#base/ssh/ssh-signature';
import { ReloadedFiles } from '#platform/files/reloaded-files';
import type { AccountKey, SignatureCheck, SignedText } from '../http/pages/page-source.ts';
import type { Identity } from '../identity.ts';
import { coversOne, describeGrant, type Grant, type Right, rightAt } from '../rights.ts';
import type { SshAccessRequest, SshLogin } from '../ssh/authentication.ts';
import { fingerprintOf } from '../ssh/keys/host-key.ts';
import { editPeople } from './edit-people.ts';
import { type OwnSecret, removeSecret } from './own-secrets.ts';
import { type HeldKey, type PeopleFile, parsePeople } from './people-file.ts';

/** A key as the account shows it. */
type ShownKey = Omit<AccountKey, 'isRemovable'>;

function factsOf({ data, grants, isReadOnly, name, paths }: HeldKey): ShownKey {
  const allowed = isReadOnly ? grants.map((grant) => ({ ...grant, right: 'read' as const })) : grants;
  const scope = [...new Set(allowed.map(describeGrant))].join('; ');
  const only = paths.length === 0 ? '' : `, only in ${paths.join(', ')}`;
  return { name, fingerprint: fingerprintOf(data), scope: `${scope}${only}` };
}

/** The people of a file, for both gateways. A change of the file has an effect within a second. */
export class People {
  readonly path: string;
  readonly #file: ReloadedFiles<PeopleFile>;

  private constructor(path: string, file: ReloadedFiles<PeopleFile>) {
    this.path = path;
    this.#file = file;
  }

  /**
   * Opens a file.
   *
   * @param onProblem called when a changed file is invalid; the previous contents stay in use.
   * @throws {PeopleFileError} and the system's errors.
   */
  static async open(path: string, onProblem: (error: unknown) => void): Promise<People> {
    const parse = ([contents]: readonly Buffer[]): PeopleFile => parsePeople(contents?.toString() ?? '');
    return new People(path, await ReloadedFiles.open({ paths: [path], parse, onProblem }));
  }

  current(): Promise<PeopleFile> {
    return this.#file.current();
  }

  /** Returns the keys of a person, without deploy keys. */
  async keysOf(name: string): Promise<ShownKey[]> {
    const keys = [...(await this.#file.current()).keys.values()];
    return keys.filter(({ holder, isDeployKey }) => holder === name && !isDeployKey).map(factsOf);
  }

  /** Finds the person whose key has signed a text. */
  async checkSignature(signed: SignedText): Promise<SignatureCheck> {
    return checkSignature(await this.#file.current(), signed);
  }

  /** Reports whether this process may replace the file. */
  async isWritable(): Promise<boolean> {
    const places = [this.path, dirname(this.path)].map((place) => access(place, constants.W_OK));
    return (await Promise.allSettled(places)).every(({ status }) => status === 'fulfilled');
  }

  /**
   * Removes a key or a token of a person from the file.
   *
   * @returns false if there is none.
   * @throws {PeopleFileError} when the file cannot be changed; the system's errors.
   */
  async remove(name: string, secret: OwnSecret): Promise<boolean> {
    const { result } = await editPeople(this.path, ({ person }) => {
      const found = person.find((one) => one.name === name);
      return found !== undefined && removeSecret(found, secret);
    });
    await this.#file.refreshed();
    return result;
  }

  async identityOf({ key }: SshLogin): Promise<Identity | undefined> {
    const held = (await this.#file.current()).keys.get(key.data.toString('base64'));
    if (held === undefined) return undefined;
    const { holder: username, isDeployKey, name } = held;
    const credential = { kind: 'key', name } as const;
    return {
      glId: `username-${username}`,
      username,
      credential,
      ...(isDeployKey && { isDeployKey }),
      rights: { grants: () => this.#grantsOf(held), at: (path) => this.#rightAt(held, path) },
    };
  }

  /**
   * Reports whether the holder of a key may do something. The rights are those of now: a removed
   * person has none on an open connection, either.
   *
   * @throws {GitalyError} NOT_FOUND for what the holder may not read.
   */
  async authorize({ identity, operation, path }: SshAccessRequest): Promise<boolean> {
    if (identity.rights === undefined) return true; // of a token, which has a scope
    const right = await identity.rights.at(path);
    if (right === undefined) throw new GitalyError('NOT_FOUND', 'not readable for this person');
    return operation === 'read' || right !== 'read';
  }

  async #rightAt(login: HeldKey, path: string): Promise<Right | undefined> {
    const key = await this.#keyOf(login);
    if (key === undefined || !coversOne(key.paths, path)) return undefined;
    return rightAt(await this.#grantsOf(login), path);
  }

  /** Returns the rights of the holder of a key; a key for reading limits them. */
  async #grantsOf(login: HeldKey): Promise<Grant[]> {
    const key = await this.#keyOf(login);
    if (key === undefined) return [];
    const grants = [...(await this.#file.current()).accounts.anonymous, ...key.grants];
    return key.isReadOnly ? grants.map(({ paths }) => ({ right: 'read', paths })) : grants;
  }

  /** Returns the key as the file has it now; `undefined` if it was removed. */
  async #keyOf({ data, holder }: HeldKey): Promise<HeldKey | undefined> {
    const key = (await this.#file.current()).keys.get(data.toString('base64'));
    return key?.holder === holder ? key : undefined;
  }
}

/** Longer commits would block the event loop. */
const MAX_TEXT_BYTES = 1 << 20;

/** Finds the person whose key has signed a text with SSH. */
function checkSignature({ keys }: PeopleFile, { signature, text }: SignedText): SignatureCheck {
  if (text.length > MAX_TEXT_BYTES) return { problem: 'the commit is very large' };
  const blob = signerOf(signature);
  if (blob === undefined) return { problem: 'the signature is damaged' };
  const held = keys.get(blob.toString('base64'));
  if (held === undefined || held.isDeployKey) return { problem: 'nobody here has its key' };
  const key = parseSshPublicKey(held.data);
  if (key === undefined) return { problem: `keys of the type of ${held.name} cannot be checked` };
  return isSshSignatureOf(key, text, signature)
    ? { name: held.holder }
    : { problem: 'the signature is not that of the commit' };
}
