import type { ConfigPair } from '#git/command/config';
import { readSettings, type Setting } from '#git/config-file';
import type { ObjectFormatName, RepositoryFormat } from '#git/object-format';
import { HiddenRefs } from '#git/refs/hidden-refs';
import type { Repository } from '#storage/repository';
import { NO_BUNDLE_URIS } from './advertise-references.ts';

/** The programs that tell a client what references there are. */
export type AdvertisingService = 'upload-pack' | 'receive-pack';

/** What settings say about the references that a client is told of. */
export interface ReferenceSettings {
  readonly objectFormat: ObjectFormatName | undefined;
  readonly hidden: HiddenRefs;
  /** Whether a client may learn of a HEAD that leads to nothing yet. */
  readonly allowsUnborn: boolean;
}

/** Sections that git does not look at before it has told of the references, but for the settings that hide some. */
const HARMLESS_SECTIONS: ReadonlySet<string> = new Set([
  'attr',
  'branch',
  'diff',
  'gc',
  'gitlab',
  'http',
  'maintenance',
  'merge',
  'midx',
  'receive',
  'repack',
  'user',
]);

/** Not `promisor`: objects may be missing then. */
const HARMLESS_OF_REMOTE = /^remote\..+\.(?:fetch|mirror|prune|push|pushurl|tagopt|url)$/;
const BOOLEAN = /^(?:true|false)$/;
const WORDS = /^[\w,./-]*$/;
/** Commands that print none, as we set it. */
const NO_REFERENCES = /^exit 0 #$/;
/** Other settings and the values with which they change nothing. What is not here is for git to judge. */
const HARMLESS: Readonly<Record<string, RegExp>> = {
  'core.alternaterefscommand': NO_REFERENCES,
  'core.autocrlf': WORDS,
  'core.bigfilethreshold': /^\d+[kmg]?$/,
  'core.compression': /^-?\d$/,
  'core.filemode': BOOLEAN,
  'core.filesreflocktimeout': /^\d+$/,
  'core.fsync': WORDS,
  'core.fsyncmethod': WORDS,
  'core.hookspath': WORDS,
  'core.ignorecase': BOOLEAN,
  'core.logallrefupdates': WORDS,
  'core.packedrefstimeout': /^\d+$/,
  'core.precomposeunicode': BOOLEAN,
  'core.symlinks': BOOLEAN,
  'core.usereplacerefs': /^false$/,
  'pack.allowpackreuse': WORDS,
  'pack.threads': /^\d+$/,
  'pack.windowmemory': /^\d+[kmg]?$/,
  'pack.writereverseindex': BOOLEAN,
  'reftable.locktimeout': /^\d+$/,
  'transfer.fsckobjects': BOOLEAN,
  'transfer.unpacklimit': /^\d+$/,
  'uploadpack.advertisebundleuris': BOOLEAN,
  'uploadpack.allowanysha1inwant': BOOLEAN,
  'uploadpack.allowfilter': BOOLEAN,
  'uploadpack.allowreachablesha1inwant': BOOLEAN,
  'uploadpack.allowtipsha1inwant': BOOLEAN,
  'uploadpack.hiderefs': /^/, // where it has a meaning it is not asked for here
  'uploadpack.packobjectshook': /^/,
};
/** These count only in the repository's file, where they say what it is. */
const FORMAT: Readonly<Record<string, RegExp>> = {
  'core.repositoryformatversion': /^[01]$/,
  'core.bare': BOOLEAN,
  'extensions.objectformat': /^sha(?:1|256)$/,
};
/** Hides references from one of the programs; `transfer.hideRefs` hides them from both. */
const HIDING = { 'upload-pack': 'uploadpack.hiderefs', 'receive-pack': 'receive.hiderefs' } as const;
const UNBORN = /^(?:advertise|allow|ignore)$/;

/** Settings of requests that are remembered for one repository: clients have one or two ways to ask, to fetch and to push. */
const MAX_KNOWN = 4;

/** What was found for a repository's config file, by the settings of the request. It lasts as long as the file is the same. */
const known = new WeakMap<RepositoryFormat, Map<string, ReferenceSettings | undefined>>();

/**
 * The settings that hold for a service: the repository's, and those that git would be started with.
 *
 * @param config settings of the request.
 * @returns `undefined` where any of them might mean more than is known here; then git has to be asked.
 * @throws when the repository's config file cannot be read.
 */
export function referenceSettings(
  repository: Repository,
  service: AdvertisingService,
  config: readonly ConfigPair[],
): ReferenceSettings | undefined {
  const format = repository.git.repositoryFormat(repository);
  const ofFormat = known.get(format) ?? new Map<string, ReferenceSettings | undefined>();
  const key = JSON.stringify([service, config]);
  if (ofFormat.has(key)) return ofFormat.get(key);
  const settings = readReferenceSettings(repository, { service, config, format });
  if (ofFormat.size >= MAX_KNOWN) ofFormat.clear();
  known.set(format, ofFormat.set(key, settings));
  return settings;
}

function readReferenceSettings(
  repository: Repository,
  { service, config, format }: { service: AdvertisingService; config: readonly ConfigPair[]; format: RepositoryFormat },
): ReferenceSettings | undefined {
  const own = readSettings(repository);
  const given = givenSettings(repository, service, config);
  if (own === undefined || given === undefined || !isKnownFormat(own)) return undefined;
  const all = [...own.filter(({ key }) => FORMAT[key] === undefined), ...given];
  const hidden: Buffer[] = [];
  let unborn = 'advertise';
  for (const setting of all) {
    const { key, value } = setting;
    if (key === 'transfer.hiderefs' || key === HIDING[service]) hidden.push(value);
    else if (key === 'lsrefs.unborn' && UNBORN.test(value.toString('latin1'))) unborn = value.toString('latin1');
    else if (!isHarmless(setting)) return undefined;
  }
  return { objectFormat: format.objectFormat, hidden: new HiddenRefs(hidden), allowsUnborn: unborn !== 'ignore' };
}

function isHarmless({ key, hasSubsection, value }: Setting): boolean {
  if (HARMLESS_SECTIONS.has(key.slice(0, key.indexOf('.'))) || HARMLESS_OF_REMOTE.test(key)) return true;
  return !hasSubsection && (HARMLESS[key]?.test(value.toString('latin1')) ?? false);
}

/** Whether git would take the directory for a repository of a kind that is known here. */
function isKnownFormat(settings: readonly Setting[]): boolean {
  const format = settings.filter(({ key }) => FORMAT[key] !== undefined);
  const version = format.find(({ key }) => key === 'core.repositoryformatversion')?.value.toString('latin1');
  const isOnce = new Set(format.map(({ key }) => key)).size === format.length;
  const hasExtension = format.some(({ key }) => key.startsWith('extensions.'));
  return (
    isOnce &&
    version !== undefined &&
    (version === '1' || !hasExtension) &&
    format.every(({ key, value }) => FORMAT[key]?.test(value.toString('latin1')))
  );
}

function givenSettings(
  repository: Repository,
  service: AdvertisingService,
  config: readonly ConfigPair[],
): Setting[] | undefined {
  try {
    const pairs = repository.git.settings(service, { repository, config: [...config, NO_BUNDLE_URIS] });
    return pairs.some(({ value }) => value.includes('\0')) ? undefined : pairs.map(toSetting);
  } catch {
    // Keys that git is never started with: whoever starts it says so.
    return undefined;
  }
}

function toSetting({ key, value }: ConfigPair): Setting {
  const [first, last] = [key.indexOf('.'), key.lastIndexOf('.')];
  const name = `${key.slice(0, first).toLowerCase()}${key.slice(first, last)}${key.slice(last).toLowerCase()}`;
  return { key: name, hasSubsection: first !== last, value: Buffer.from(value) };
}
