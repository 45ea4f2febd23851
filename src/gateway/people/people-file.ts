import { parse, TomlError } from 'smol-toml';
import { trimmed } from '#base/trim';
import type { Account, Accounts } from '../http/auth/auth-file.ts';
import { parseSecretHash } from '../http/auth/password-hash.ts';
import { checkRepositoryPath } from '../repository-path.ts';
import { ANONYMOUS, type Grant, nameProblem, RIGHTS } from '../rights.ts';
import { parseAuthorizedKeys } from '../ssh/keys/authorized-keys.ts';
import { PeopleFileError, TomlTable } from './toml-table.ts';

/** An SSH key and what it may be used for. */
export interface HeldKey {
  /** Name of the person, or of a deploy key. */
  readonly holder: string;
  /** Name of the key, which is one of its holder. */
  readonly name: string;
  /** In wire format. */
  readonly data: Buffer;
  /** Rights of the holder. */
  readonly grants: readonly Grant[];
  /** True if the key allows no pushes. */
  readonly isReadOnly: boolean;
  /** The only repositories of the key; empty: all those of the holder. */
  readonly paths: readonly string[];
  /** True for a deploy key, which belongs to a repository and to no person. */
  readonly isDeployKey: boolean;
}

/** The people of a server. */
export interface PeopleFile {
  readonly accounts: Accounts;
  /** SSH keys by their data in base64. */
  readonly keys: ReadonlyMap<string, HeldKey>;
  /** Rights by name. */
  readonly grants: ReadonlyMap<string, readonly Grant[]>;
}

interface Draft {
  readonly passwords: Map<string, Account>;
  readonly tokens: Map<string, Account>;
  readonly anonymous: Grant[];
  readonly keys: Map<string, HeldKey>;
  readonly grants: Map<string, readonly Grant[]>;
}

const PERSON = [...RIGHTS, 'name', 'password', 'token', 'key'];
const TOKEN = ['name', 'hash'];
const KEY = ['name', 'key', 'access', 'repositories'];
const DEPLOY_KEY = ['name', 'key', 'access', 'repository'];

/**
 * Parses a file of people: TOML with a table `[[person]]` for each person and `[[deploy_key]]` for
 * each key of a repository. docs/people.md describes it.
 *
 * @throws {PeopleFileError}
 */
export function parsePeople(document: string): PeopleFile {
  const draft: Draft = {
    passwords: new Map(),
    tokens: new Map(),
    anonymous: [],
    keys: new Map(),
    grants: new Map(),
  };
  const file = new TomlTable(document, [], parseToml(document), ['person', 'deploy_key']);
  for (const person of file.tables('person', PERSON)) addPerson(draft, person);
  for (const key of file.tables('deploy_key', DEPLOY_KEY)) addDeployKey(draft, key);
  const { anonymous, grants, keys, passwords, tokens } = draft;
  return { accounts: { passwords, tokens, anonymous }, keys, grants };
}

function parseToml(document: string): unknown {
  try {
    return parse(document);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The first line is the problem; the others repeat the file, which has hashes.
    const [problem = ''] = error.message.split('\n');
    throw new PeopleFileError(`line ${error.line}: ${problem}`);
  }
}

function addPerson(draft: Draft, person: TomlTable): void {
  const name = person.required('name');
  takeName(draft, person, name);
  const grants = RIGHTS.flatMap((right) => grantOf(person, right));
  draft.grants.set(name, grants);
  if (name === ANONYMOUS) {
    const secret = ['admin', 'password', 'token', 'key'].find((key) => person.has(key));
    if (secret !== undefined) person.fail(secret, `${ANONYMOUS} is everybody who does not log in`);
    draft.anonymous.push(...grants);
    return;
  }

  const hashText = person.text('password');
  if (hashText !== undefined) {
    const hash = parseSecretHash(hashText);
    if (hash?.kind !== 'scrypt') person.fail('password', 'expected a hash $scrypt$…');
    draft.passwords.set(name, { name, hash, hashText, grants });
  }
  const tokenNames = new Set<string>();
  for (const token of person.tables('token', TOKEN))
    addToken(draft, token, { name, grants, tokenName: ownName(token, tokenNames) });
  const names = new Set<string>();
  for (const table of person.tables('key', KEY)) {
    const isReadOnly = table.has('access') && accessOf(table) === 'read';
    const paths = table.texts('repositories').map((path) => repositoryPath(table, 'repositories', path));
    if (paths.length === 0 && table.has('repositories'))
      table.fail('repositories', 'the list is empty: leave it out for all repositories of the person');
    const key = { holder: name, name: ownName(table, names), grants, isReadOnly, paths, isDeployKey: false };
    addKey(draft, table, key);
  }
}

function addDeployKey(draft: Draft, table: TomlTable): void {
  const name = table.required('name');
  takeName(draft, table, name);
  const path = repositoryPath(table, 'repository', table.required('repository'));
  const paths = [path.endsWith('.git') ? path : `${path}.git`]; // this repository, and none below it
  const grants: Grant[] = [{ right: table.has('access') ? accessOf(table) : 'read', paths }];
  draft.grants.set(name, grants);
  addKey(draft, table, { holder: name, name, grants, isReadOnly: false, paths, isDeployKey: true });
}

/** Names are shown in logs and events, so each has one holder. */
function takeName({ grants }: Draft, table: TomlTable, name: string): void {
  const problem = nameProblem(name);
  if (problem !== undefined) table.fail('name', problem);
  if (grants.has(name)) table.fail('name', `there is another ${name}`);
}

function grantOf(person: TomlTable, right: (typeof RIGHTS)[number]): Grant[] {
  if (!person.has(right)) return [];
  if (person.isTrue(right)) return [{ right, paths: [] }];
  if (right === 'admin') return person.fail(right, 'expected true: it is a right to the whole server');
  const paths = person.texts(right).map((path) => repositoryPath(person, right, path));
  return paths.length > 0 ? [{ right, paths }] : person.fail(right, 'expected true, or a list of paths');
}

function addToken(draft: Draft, table: TomlTable, owner: Omit<Account, 'hash' | 'hashText'>): void {
  const hashText = table.required('hash');
  const hash = parseSecretHash(hashText);
  if (hash?.kind !== 'sha256') table.fail('hash', 'expected a hash sha256:…');
  const digest = hash.digest.toString('hex');
  if (draft.tokens.has(digest)) table.fail('hash', 'there is another such token; create one for each');
  draft.tokens.set(digest, { ...owner, hash, hashText });
}

function addKey({ keys }: Draft, table: TomlTable, held: Omit<HeldKey, 'data'>): void {
  const parsed = parseAuthorizedKeys(table.required('key'));
  const [key] = parsed.keys;
  const [unused] = parsed.unused;
  if (unused !== undefined) table.fail('key', unused.reason);
  if (key === undefined || parsed.keys.length > 1) table.fail('key', 'expected one public key');
  const id = key.data.toString('base64');
  const other = keys.get(id);
  if (other !== undefined) table.fail('key', `${other.holder} has the same key (${other.name})`);
  keys.set(id, { ...held, data: key.data });
}

/** Returns the name of a key or a token, which its person has once. */
function ownName(table: TomlTable, names: Set<string>): string {
  const name = table.required('name');
  const problem = names.has(name) ? `this person has another ${name}` : nameProblem(name);
  if (problem !== undefined) table.fail('name', problem);
  names.add(name);
  return name;
}

function accessOf(table: TomlTable): 'read' | 'write' {
  const access = table.text('access');
  return access === 'read' || access === 'write' ? access : table.fail('access', 'expected read or write');
}

/** Returns the path of a repository, or of a directory of repositories. */
function repositoryPath(table: TomlTable, key: string, text: string): string {
  const path = trimmed(text, '/');
  const checked = checkRepositoryPath(path.split('/'));
  if (typeof checked !== 'string') return table.fail(key, checked.refusal);
  return path.includes('*') ? table.fail(key, 'a path has no patterns: it covers all below it') : path;
}
