import { readFile, readlink, realpath, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'smol-toml';
import { ignoreMissing } from '#base/files/ignore-missing';
import { createFile, replaceFile } from '#base/files/replace-file';
import { parsePeople } from './people-file.ts';
import { PeopleFileError } from './toml-table.ts';

/** A key of a person or a repository, as the file has it. */
export interface KeyEntry {
  name: string;
  key: string;
  access?: string;
  repositories?: string[];
}

/** A person, as the file has it. */
export interface PersonEntry {
  name: string;
  read?: true | string[];
  write?: true | string[];
  admin?: true;
  password?: string;
  token?: { name: string; hash: string }[];
  key?: KeyEntry[];
}

export interface DeployKeyEntry extends Omit<KeyEntry, 'repositories'> {
  repository: string;
}

/** A file of people, as TOML has it. */
export interface PeopleDocument {
  person: PersonEntry[];
  deploy_key: DeployKeyEntry[];
}

const HEADING = `# The people of this server. "gitaly-ts user" writes this file, and keeps only the comments
# above the first table. Changes have an effect within a second.
`;
/** Time for other commands that change the file; each takes some milliseconds. */
const LOCK_TRIES = 200;
const LOCK_TRY_MS = 50;

/** Reads a file; a missing one has no people. @throws {PeopleFileError} */
export async function readPeople(path: string): Promise<PeopleDocument> {
  return documentOf((await contentOf(path)) ?? '');
}

/**
 * Changes a file, or creates it; of a symbolic link, its target. Commands at the same time wait for
 * each other; the server reads the old contents or the new ones.
 *
 * @throws {PeopleFileError} when the file is invalid before or after the change, or would lose
 *   comments; what `change` throws; the system's errors. Then the file is unchanged.
 */
export async function editPeople<T>(
  given: string,
  change: (document: PeopleDocument) => T,
): Promise<{ readonly result: T; readonly isNew: boolean }> {
  const path = await targetOf(given);
  await using _lock = await lockFile(path);
  const before = await contentOf(path);
  const document = documentOf(before ?? '');
  const heading = headingOf(before ?? HEADING);
  const result = change(document);
  const text = `${heading}\n\n${stringify(withoutEmpty(document))}`;
  parsePeople(text);
  const { gid, mode, uid } = await stat(before === undefined ? dirname(path) : path);
  await replaceFile(path, text, {
    durable: true,
    ...(before !== undefined && { mode: mode & 0o777 }),
    // root changes the file of another user, who must be able to read it
    ...(process.getuid?.() === 0 && { owner: { uid, gid } }),
  });
  return { result, isNew: before === undefined };
}

/** Returns the file to which a link leads, also one that does not exist yet; any other path as it is. */
async function targetOf(path: string): Promise<string> {
  const target = await realpath(path).catch(ignoreMissing);
  if (target !== undefined) return target;
  const link = await readlink(path).catch(ignoreMissing);
  return link === undefined ? path : resolve(dirname(path), link);
}

async function contentOf(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(ignoreMissing);
}

function documentOf(text: string): PeopleDocument {
  parsePeople(text);
  // The parser above has checked the shape.
  const { deploy_key = [], person = [] } = parse(text) as unknown as Partial<PeopleDocument>;
  return { person, deploy_key };
}

/** Tables without entries are left out: in TOML they would be lists. */
function withoutEmpty({ deploy_key, person }: PeopleDocument): object {
  return { ...(person.length > 0 && { person }), ...(deploy_key.length > 0 && { deploy_key }) };
}

/** Returns the comments above the first table. @throws {PeopleFileError} for further ones. */
function headingOf(text: string): string {
  const lines = text.split('\n');
  const isHeading = (line: string): boolean => /^\s*(?:#|$)/.test(line);
  const length = lines.findIndex((line) => !isHeading(line));
  const rest = length === -1 ? [] : lines.slice(length);
  const comment = rest.findIndex(hasComment);
  if (comment === -1)
    return lines
      .slice(0, length === -1 ? undefined : length)
      .join('\n')
      .trimEnd();
  throw new PeopleFileError(
    `line ${length + comment + 1}: this comment would be lost. Move it above the first table, or change ` +
      'the file by hand',
  );
}

/** Reports whether a line has a comment, outside its strings. */
function hasComment(line: string): boolean {
  let quote: string | undefined;
  for (let at = 0; at < line.length; at++) {
    const character = line[at];
    if (quote === undefined) {
      if (character === '#') return true;
      if (character === '"' || character === "'") quote = character;
    } else if (character === quote) quote = undefined;
    else if (character === '\\' && quote === '"') at++;
  }
  return false;
}

async function lockFile(path: string): Promise<AsyncDisposable> {
  const lock = `${path}.lock`;
  for (let tries = LOCK_TRIES; tries > 0; tries--) {
    if (await createFile(lock, '', { durable: false }))
      return { [Symbol.asyncDispose]: () => rm(lock, { force: true }) };
    await delay(LOCK_TRY_MS);
  }
  throw new Error(`another command changes ${path}. If none is running, remove ${lock}`);
}
