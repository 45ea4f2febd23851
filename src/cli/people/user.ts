import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { makeDirectory } from '#base/files/make-directory';
import { createToken, hashPassword } from '#gateway/index';
import {
  type DeployKeyEntry,
  editPeople,
  type KeyEntry,
  type PeopleDocument,
  type PersonEntry,
  readPeople,
} from '#gateway/people/edit-people';
import { fingerprint, isKey, removeSecret } from '#gateway/people/own-secrets';
import { PeopleFileError } from '#gateway/people/toml-table';
import { RIGHTS, type Right } from '#gateway/rights';
import { parseAuthorizedKeys } from '#gateway/ssh/keys/authorized-keys';
import { commandsIn, printResult, type ToolConsole, type Used } from '../commands/tool-command.ts';
import { peopleIn } from '../up/up-people.ts';
import { NoPasswordError, readPassword } from './read-password.ts';

/** Options of all commands `gitaly-ts user`. */
export interface UserOptions {
  readonly to: string;
  readonly people?: string;
  readonly json?: boolean;
}

/** Streams of the commands; a password may be typed. */
export interface UserConsole extends ToolConsole {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
}

export interface AccessOptions {
  readonly access: Right;
  readonly path?: readonly string[];
}

export interface SecretOptions {
  readonly passwordStdin?: boolean;
  readonly token?: boolean;
  readonly key?: string;
}

export interface AddKeyOptions extends UserOptions {
  readonly name?: string;
  readonly readOnly?: boolean;
  readonly repository?: string[];
  /** True for a key of a repository, instead of a person. */
  readonly deploy?: boolean;
  readonly write?: boolean;
}

const FIRST_TOKEN = 'first';

interface Changing {
  /** Changes the file of people. */
  readonly change: <T>(edit: (all: PeopleDocument) => T) => Promise<T>;
}

type Use<Options> = Used<Changing, UserOptions & Options, UserConsole>;

const command = commandsIn<UserOptions, UserConsole, Changing>((options, on, work) => {
  const isUsage = (error: unknown): boolean =>
    error instanceof RangeError || error instanceof PeopleFileError || error instanceof NoPasswordError;
  const changing: Changing = { change: (edit) => changePeople(options, on, edit) };
  return printResult(() => work(changing), { group: 'user', json: options.json, on, isUsage });
});

function pathOf({ people, to }: UserOptions): string {
  return people ?? peopleIn(to);
}

async function changePeople<T>(
  options: UserOptions,
  on: ToolConsole,
  edit: (all: PeopleDocument) => T,
): Promise<T> {
  const path = pathOf(options);
  if (options.people === undefined) await makeDirectory(options.to);
  const { isNew, result } = await editPeople(path, edit);
  if (isNew) on.stderr.write(`Created ${path}: a server that is running uses it from its next start on.\n`);
  return result;
}

/** Runs `gitaly-ts user add`. */
export const addUser = command(
  async ({ change, on, options }: Use<AccessOptions & SecretOptions>, name: string) => {
    const { key: keyFile, passwordStdin = false, token: wantsToken = false } = options;
    const asks = passwordStdin || (!wantsToken && keyFile === undefined && on.stdin.isTTY === true);
    if (!asks && !wantsToken && keyFile === undefined)
      throw new RangeError('give --password-stdin, --token or --key FILE');
    const rights = rightsOf(options);
    const key = keyFile === undefined ? undefined : await readKey(keyFile);
    const password = asks ? await hashPassword(await readPassword(on.stdin)) : undefined;
    const made = wantsToken ? createToken() : undefined;
    await change(({ person }) => {
      if (person.some((one) => one.name === name)) throw new RangeError(`there is another ${name}`);
      person.push({
        ...{ name, ...rights },
        ...(password !== undefined && { password }),
        ...(made && { token: [{ name: FIRST_TOKEN, hash: made.hash }] }),
        ...(key && { key: [key] }),
      });
    });
    if (made === undefined) return { json: { added: name }, lines: [`added ${name}`] };
    on.stderr.write(`Added ${name}. The token is shown only once:\n`);
    return { json: { added: name, token: made.token }, lines: [made.token] };
  },
);

function rightsOf({ access, path }: AccessOptions): Pick<PersonEntry, Right> {
  if (access === 'admin' && path !== undefined)
    throw new RangeError('admin is a right to the whole server: leave out --path');
  return access === 'admin' ? { admin: true } : { [access]: path === undefined ? true : [...path] };
}

/** Runs `gitaly-ts user list`. Secrets are not shown. */
export const listUsers = command(async ({ options }) => {
  const { deploy_key, person } = await readPeople(pathOf(options));
  const people = person.map(({ admin, key = [], name, password, read, token = [], write }) => ({
    ...{ name, ...(read && { read }), ...(write && { write }), ...(admin && { admin }) },
    password: password !== undefined,
    tokens: token.map((each) => each.name),
    keys: key.map(shownKey),
  }));
  const deployKeys = deploy_key.map(shownKey);
  const lines = people.map((one) => {
    const rights = RIGHTS.filter((right) => one[right] !== undefined);
    const shown = rights.map((right) => [right, ...(Array.isArray(one[right]) ? one[right] : [])].join(' '));
    const secrets = [
      ...(one.password ? ['password'] : []),
      ...one.tokens.map((token) => `token ${token}`),
      ...one.keys.map((key) => `key ${key.name} ${key.fingerprint}`),
    ];
    return `${one.name}  ${shown.join(', ') || 'no right'}  ${secrets.join(', ') || 'no secret'}`;
  });
  return { json: { people, deployKeys }, lines: [...lines, ...deployKeys.map(keyLine)] };
});

/** Runs `gitaly-ts user key list`. @param wanted the person; `undefined` for all keys. */
export const listKeys = command(async ({ options }, wanted: string | undefined) => {
  const all = await readPeople(pathOf(options));
  const people = wanted === undefined ? all.person : [personOf(all, wanted)];
  const keys = people.flatMap(({ key = [], name }) => key.map((one) => ({ person: name, ...shownKey(one) })));
  const deployKeys = wanted === undefined ? all.deploy_key.map(shownKey) : [];
  const lines = [...keys.map((key) => `${key.person}  ${keyLine(key)}`), ...deployKeys.map(keyLine)];
  return { json: { keys, deployKeys }, lines };
});

function shownKey({ key, ...entry }: KeyEntry | DeployKeyEntry) {
  return { ...entry, fingerprint: fingerprint(key) };
}

function keyLine(key: ReturnType<typeof shownKey>): string {
  const repositories = 'repository' in key ? [`deploys ${key.repository}`] : (key.repositories ?? []);
  return [key.name, key.fingerprint, key.access, ...repositories].filter(Boolean).join('  ');
}

/** Runs `gitaly-ts user access`: replaces the rights of a person. */
export const setAccess = command(async ({ change, options }: Use<AccessOptions>, name: string) => {
  const rights = rightsOf(options);
  await change((all) => {
    const person = personOf(all, name);
    for (const right of RIGHTS) delete person[right];
    Object.assign(person, rights);
  });
  return { json: { changed: name }, lines: [`changed ${name}`] };
});

/** Runs `gitaly-ts user remove`. */
export const removeUsers = command(async ({ change }, names: readonly string[]) => {
  await change((all) => {
    for (const name of names) personOf(all, name);
    all.person = all.person.filter(({ name }) => !names.includes(name));
  });
  return { json: { removed: names }, lines: names.map((name) => `removed ${name}`) };
});

/** Runs `gitaly-ts user password`. */
export const setPassword = command(
  async ({ change, on, options }: Use<{ readonly remove?: boolean }>, name: string) => {
    personOf(await readPeople(pathOf(options)), name); // before somebody types a password
    const hash = options.remove === true ? undefined : await hashPassword(await readPassword(on.stdin));
    await change((all) => {
      const person = personOf(all, name);
      if (hash === undefined) delete person.password;
      else person.password = hash;
    });
    return { json: { changed: name }, lines: [`changed ${name}`] };
  },
);

/** Runs `gitaly-ts user token add`. */
export const addUserToken = command(async ({ change, on }, person: string, name: string) => {
  const { hash, token } = createToken();
  await change((all) => {
    const found = personOf(all, person);
    found.token = [...(found.token ?? []), { name, hash }];
  });
  on.stderr.write(`Token ${name} for ${person}. It is shown only once:\n`);
  return { json: { person, name, token }, lines: [token] };
});

/** Runs `gitaly-ts user token remove`. */
export const removeUserToken = command(async ({ change }, person: string, name: string) => {
  await change((all) => {
    if (!removeSecret(personOf(all, person), { kind: 'token', name }))
      throw new RangeError(`${person} has no token ${name}`);
  });
  return { json: { removed: name }, lines: [`removed ${name}`] };
});

/** Runs `gitaly-ts user key add`. @param holder the person, or the repository of a deploy key. */
export const addKey = command(
  async ({ change, options }: Use<AddKeyOptions>, holder: string, file: string) => {
    const { deploy = false, readOnly = false, repository, write = false } = options;
    if (!deploy && write) throw new RangeError('--write is for --deploy');
    if (deploy && (readOnly || repository !== undefined))
      throw new RangeError('--read-only and --repository are for the keys of people');
    const key = await readKey(file, options.name);
    await change((all) => {
      if (deploy) all.deploy_key.push(deployKey(key, holder, write));
      else {
        const person = personOf(all, holder);
        const limits = {
          ...(readOnly && { access: 'read' }),
          ...(repository && { repositories: repository }),
        };
        person.key = [...(person.key ?? []), { ...key, ...limits }];
      }
    });
    return { json: { added: key.name }, lines: [`added ${key.name}`] };
  },
);

function deployKey({ key, name }: KeyEntry, repository: string, write: boolean): DeployKeyEntry {
  return { name, repository, ...(write && { access: 'write' }), key };
}

/** Runs `gitaly-ts user key remove`. @param holder the person, or the repository of a deploy key. */
export const removeKey = command(
  async ({ change, options }: Use<{ readonly deploy?: boolean }>, holder: string, wanted: string) => {
    const isDeployed = (key: DeployKeyEntry): boolean => key.repository === holder && isKey(key, wanted);
    await change((all) => {
      const isFound =
        options.deploy === true
          ? all.deploy_key.some(isDeployed)
          : removeSecret(personOf(all, holder), { kind: 'key', name: wanted });
      if (!isFound) throw new RangeError(`${holder} has no key ${wanted}`);
      if (options.deploy === true) all.deploy_key = all.deploy_key.filter((key) => !isDeployed(key));
    });
    return { json: { removed: wanted }, lines: [`removed ${wanted}`] };
  },
);

function personOf({ person }: PeopleDocument, name: string): PersonEntry {
  const found = person.find((one) => one.name === name);
  if (found === undefined) throw new RangeError(`there is no ${name}: "gitaly-ts user list" prints all`);
  return found;
}

async function readKey(file: string, given?: string): Promise<KeyEntry> {
  const text = (await readFile(file, 'utf8')).trim();
  if (/-----BEGIN /.test(text))
    throw new RangeError(`${file} is a private key: give the one that ends in .pub`);
  const { keys, unused } = parseAuthorizedKeys(text);
  const [unusable] = unused;
  if (unusable !== undefined) throw new RangeError(`${file}: ${unusable.reason}`);
  const [key] = keys;
  if (key === undefined || keys.length > 1) throw new RangeError(`${file} must have one public key`);
  const name = given ?? (key.comment.replaceAll(/[\s:#]/g, '-') || basename(file, extname(file)));
  return { name, key: `${key.type} ${key.data.toString('base64')}` };
}
