import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileStamp } from '#base/files/file-stamp';
import { FallBackToGit } from '#git/command/in-process';
import { directoriesKey } from '#git/repository-files/git-directory';
import { stampOf } from '#git/repository-files/repository-stamp';
import { advertisedPackets } from '../git-service/advertised-packets.ts';
import type { Fetch } from './fetch.ts';
import type { FetchRequest } from './request-parser.ts';

/** A repository with longer lists of references is not small. */
const MAX_REFERENCES_BYTES = 128 * 1024;

/**
 * Returns a key of everything that a right answer depends on: the request, the settings and the
 * repository. References are not among them, because a request names objects by their ids.
 *
 * @returns `undefined` if the answer depends on more.
 */
export function fetchKey(
  { config, gitProtocol, repository }: Fetch,
  { key }: FetchRequest,
): string | undefined {
  const { path } = repository;
  if (existsSync(join(path, 'shallow')) || existsSync(join(path, 'info', 'grafts'))) return undefined;
  const stamps = [stampOf(repository), fileStamp(join(path, 'config'))];
  const facts = [directoriesKey(repository), stamps, config, gitProtocol, key];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

/**
 * Adds to a key what an answer depends on that is to equal git's of this moment: all references
 * (tags are included in packs) and the directory of packs.
 *
 * @returns `undefined` if git has to answer. Each wanted object must be the tip of a visible
 *   reference, so that it must exist.
 */
export async function exactFetchKey(
  key: string,
  { config, repository, signal }: Fetch,
  { wants }: FetchRequest,
): Promise<string | undefined> {
  // Before the references are read: a change in between then gives a key that never matches.
  const packs = fileStamp(join(repository.objectDirectory, 'pack'));
  const options = { service: 'upload-pack', config, signal } as const;
  const pieces = await advertisedPackets(repository, options, ({ hidden }) => {
    if (hidden.names.some(mayHideTags)) throw new FallBackToGit('tags are hidden');
    return { peel: false, symrefs: false, unborn: false, prefixes: [] };
  });
  if (pieces === undefined) return undefined;
  const references = Buffer.concat(pieces);
  if (references.length > MAX_REFERENCES_BYTES) return undefined;
  if (!wants.every((want) => references.includes(want))) return undefined;
  return createHash('sha256').update(`${key} ${packs}\n`).update(references).digest('base64');
}

/** git includes tags in packs although they are hidden. */
function mayHideTags(rule: Buffer): boolean {
  return /^!?refs(?:\/?$|\/tags)/.test(rule.toString('latin1'));
}
