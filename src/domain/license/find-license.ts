import { LoopSlice } from '#base/async/loop-turns';
import { isLink } from '#base/file-mode';
import { normalizePath } from '#base/normalize-path';
import { kindOf } from '#git/names/entry-kind';
import { oidBytesOf } from '#git/names/object-id';
import { parseTreeInTurns, type TreeEntry } from '#git/objects/parse/parse-tree';
import { openEntry } from '#git/trees/open-entry';
import type { Repository } from '#storage/repository';
import { type LicenseMatch, matchLicense } from './match-license.ts';

/** The license of a project, or one that is not known. */
export interface FoundLicense {
  /** SPDX identifier in lower case, or `other`. */
  readonly shortName: string;
  readonly name: string;
  readonly url: string;
  /** File with the text. */
  readonly path: string;
  readonly nickname: string;
}

interface Candidate extends LicenseMatch {
  readonly path: string;
  readonly isCanonical: boolean;
}

/** @see Gitaly: nicknameByLicenseIdentifier */
const NICKNAMES: Readonly<Record<string, string>> = {
  'agpl-3.0': 'GNU AGPLv3',
  'lgpl-3.0': 'GNU LGPLv3',
  'bsd-3-clause-clear': 'Clear BSD',
  'odbl-1.0': 'ODbL',
  ncsa: 'UIUC/NCSA',
  'lgpl-2.1': 'GNU LGPLv2.1',
  'gpl-3.0': 'GNU GPLv3',
  'gpl-2.0': 'GNU GPLv2',
};
/** Larger files are not licenses. */
const MAX_FILE_BYTES = 256 << 10;
/** Number of files that are read; a project has one or two. */
const MAX_FILES = 100;

/** Words in the names of files that contain a license. @see go-license-detector: licenseFileNames */
const NAMES = [
  'li[cs]en[cs]es?',
  'legal',
  'copy(?:left|right|ing)',
  'unlicense',
  'l?gpl[-_ v]?(?:\\d\\.?\\d)?',
];
const MORE_NAMES = ['bsd', 'mit', 'apache'];
/** One of the names, delimited by separators or the ends. */
const LICENSE_FILE = new RegExp(`(?:^|[-_. ])(?:${[...NAMES, ...MORE_NAMES].join('|')})(?:[-_. ]|$)`, 'i');
const LINE_END = /[\n\r\u2028\u2029]/;
const NEVER = /^(?:readme|guidelines)(?:\.md|\.rst|\.html|\.txt)?$/i;
const CANONICAL = /^(?:(?:un)?licen[sc]e|copying)(?:\.md|\.txt|\.html|\.rst)?$/i;

/**
 * Finds the license of a commit among the files of its top directory; `undefined` if none of them
 * may be one. The README next to this file describes the method.
 */
export async function findLicense(
  repository: Repository,
  commitId: string,
  signal: AbortSignal,
): Promise<FoundLicense | undefined> {
  const tree = await repository.objects.readObject(`${commitId}^{tree}`, { signal });
  if (tree === undefined) return undefined;
  const entries = await parseTreeInTurns(tree.data, oidBytesOf(tree.oid), signal);
  const candidates: Candidate[] = [];
  const slice = new LoopSlice();
  let firstPath: string | undefined;
  for (const entry of entries.filter(isCandidate).slice(0, MAX_FILES)) {
    const file = await readFile(repository, commitId, entry, signal);
    if (file === undefined) continue;
    await slice.pause(signal);
    firstPath ??= file.path;
    const isCanonical = isCanonicalName(entry.name.toString());
    for (const match of await matchLicense(file.text, { slice, signal }))
      candidates.push({ ...match, path: file.path, isCanonical });
  }
  const [best] = candidates.sort(byPreference);
  if (best !== undefined) return toFound(best);
  if (firstPath === undefined) return undefined;
  return { shortName: 'other', name: 'Other', url: '', path: firstPath, nickname: 'LICENSE' };
}

function isCandidate({ mode, name }: TreeEntry): boolean {
  const kind = kindOf(mode);
  return kind === 'blob' && isLicenseFile(name.toString());
}

/** Returns the text of a file, or of the target of a symbolic link. */
async function readFile(
  { objects }: Repository,
  commitId: string,
  { mode, name, oid }: TreeEntry,
  signal: AbortSignal,
): Promise<{ readonly path: string; readonly text: string } | undefined> {
  if (!isLink(mode)) return { path: name.toString(), text: await readText(oid) };
  const path = normalizePath(await readText(oid));
  const target = await openEntry(objects, Buffer.from(commitId), Buffer.from(path), { signal });
  target?.object?.stream.destroy();
  return target?.object?.type === 'blob' ? { path, text: await readText(target.object.oid) } : undefined;

  async function readText(id: string): Promise<string> {
    const info = await objects.info(id, { signal });
    if (info === undefined || info.size > MAX_FILE_BYTES) return '';
    return (await objects.readObject(id, { signal }))?.data.toString() ?? '';
  }
}

function byPreference(a: Candidate, b: Candidate): number {
  if (a.isCanonical !== b.isCanonical) return a.isCanonical ? -1 : 1;
  if (a.confidence !== b.confidence) return b.confidence - a.confidence;
  return a.license.id.toLowerCase() < b.license.id.toLowerCase() ? -1 : 1;
}

function toFound({ license, path }: Candidate): FoundLicense {
  const shortName = license.id.toLowerCase();
  const { name, url } = license;
  return { shortName, name, url, path, nickname: NICKNAMES[shortName] ?? '' };
}

/** Reports whether a file of this name may contain the license of a project. */
export function isLicenseFile(name: string): boolean {
  return LICENSE_FILE.test(name) && !LINE_END.test(name) && !NEVER.test(name);
}

/** Reports whether a name is the usual one, which takes precedence over others. */
function isCanonicalName(name: string): boolean {
  return CANONICAL.test(name);
}
