import { statSync } from 'node:fs';
import { GitalyError } from '#base/gitaly-error';
import { BoundedMap } from '#base/memory/bounded-map';
import { keptBytes } from '#base/memory/kept-bytes';
import type { ConfigPair } from '#git/command/config';
import { FallBackToGit } from '#git/command/in-process';
import { HiddenRefs } from '#git/names/hidden-refs';
import { readSettings, type Setting } from '#git/repository-files/config-file';
import type { ObjectFormatName, RepositoryFormat } from '#git/repository-files/repository-format';
import type { Repository } from '#storage/repository';

/** The programs that advertise references to a client. */
export type AdvertisingService = 'upload-pack' | 'receive-pack';

/** Settings that determine which references are advertised to a client. */
export interface ReferenceSettings {
  readonly objectFormat: ObjectFormatName | undefined;
  readonly hidden: HiddenRefs;
  /** True if a client may see a HEAD whose branch does not exist yet. */
  readonly allowsUnborn: boolean;
  /** True if a client may request a part of the objects. */
  readonly allowsFilter: boolean;
  /** True if packs are compressed as usual. */
  readonly hasDefaultCompression: boolean;
  /** All settings: the repository's, then those with which git would be started. */
  readonly settings: readonly Setting[];
}

/**
 * Sections that git does not read before it has advertised the references, except for settings that
 * hide some.
 */
const HARMLESS_SECTIONS: ReadonlySet<string> = new Set([
  'advice',
  'attr',
  'branch',
  'commit',
  'diff',
  'gc',
  'gitlab',
  'http',
  'maintenance',
  'merge',
  'midx',
  'protocol',
  'receive',
  'repack',
  'tag',
  'user',
]);

/** Without `promisor`, because objects may be missing then. */
const HARMLESS_OF_REMOTE = /^remote\..+\.(?:fetch|mirror|prune|push|pushurl|tagopt|url)$/;
const BOOLEAN = /^(?:true|false)$/;
const WORDS = /^[\w,./-]*$/;
/** Commands without output: that of the server, and that of Gitaly. */
const NO_REFERENCES = /^(?:true|exit 0 #)$/;
/** Other settings and the values with which they have no effect. git handles everything else. */
const HARMLESS: Readonly<Record<string, RegExp>> = {
  'core.alternaterefscommand': NO_REFERENCES,
  'core.attributesfile': /^\/dev\/null$/,
  'core.autocrlf': WORDS,
  'core.bigfilethreshold': /^\d+[kmg]?$/,
  'core.compression': /^-?\d$/,
  'core.filemode': BOOLEAN,
  'core.filesreflocktimeout': /^\d+$/,
  'core.fsmonitor': /^false$/,
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
  'uploadpack.hiderefs': /^/, // it has no effect here; where it has one, it is handled separately
  'uploadpack.packobjectshook': /^/,
};
/** Settings that are only allowed in the repository's file, where they describe its format. */
const FORMAT: Readonly<Record<string, RegExp>> = {
  'core.repositoryformatversion': /^[01]$/,
  'core.bare': BOOLEAN,
  'extensions.objectformat': /^sha(?:1|256)$/,
  'extensions.refstorage': /^(?:files|reftable)$/,
};
/**
 * Settings that hide references from one of the programs; `transfer.hideRefs` hides them from both.
 */
const HIDING = { 'upload-pack': 'uploadpack.hiderefs', 'receive-pack': 'receive.hiderefs' } as const;
const UNBORN = /^(?:advertise|allow|ignore)$/;

/**
 * Limit of cached request settings per repository: clients have one or two variants, for fetches
 * and pushes.
 */
const MAX_KNOWN = 4;

/**
 * Results for a repository's config file, by the settings of the request, until the file changes.
 */
const known = new WeakMap<RepositoryFormat, BoundedMap<string, ReferenceSettings | undefined>>();

/** Variants of the settings with which git would be started: by service, and by request. */
const MAX_GIVEN = 64;

/** Settings with which git would be started: those of thousands of repositories are the same. */
const given = new BoundedMap<string, readonly Setting[]>({ maxEntries: MAX_GIVEN });

/** The same, of hidden references. */
const hiddenRefs = new BoundedMap<string, HiddenRefs>({ maxEntries: MAX_GIVEN });

/**
 * Returns the settings that apply to a service: the repository's, and those with which git would be
 * started.
 *
 * @param config settings of the request.
 * @returns `undefined` if any of them is unknown; then git must be used.
 * @throws when the repository's config file cannot be read.
 */
export function referenceSettings(
  repository: Repository,
  service: AdvertisingService,
  config: readonly ConfigPair[],
): ReferenceSettings | undefined {
  const format = repository.format;
  const ofFormat = known.get(format) ?? new BoundedMap({ maxEntries: MAX_KNOWN });
  const key = JSON.stringify([service, config]);
  if (ofFormat.has(key)) return ofFormat.get(key);
  const settings = readReferenceSettings(repository, { service, config, format });
  known.set(format, ofFormat.set(key, settings));
  return settings;
}

/**
 * Returns the settings that apply to a service.
 *
 * @throws {FallBackToGit} for a repository of another user, and for unknown settings.
 */
export function requireReferenceSettings(
  ...[repository, service, config]: Parameters<typeof referenceSettings>
): ReferenceSettings {
  // git refuses repositories of other users.
  if (statSync(repository.path, { throwIfNoEntry: false })?.uid !== process.geteuid?.())
    throw new FallBackToGit('the repository belongs to another user');
  try {
    const settings = referenceSettings(repository, service, config);
    if (settings !== undefined) return settings;
  } catch (error) {
    if (!(error instanceof GitalyError)) throw error;
    throw new FallBackToGit('the config file cannot be read', { cause: error });
  }
  throw new FallBackToGit('a setting may change the list');
}

function readReferenceSettings(
  repository: Repository,
  {
    service,
    config,
    format,
  }: { service: AdvertisingService; config: readonly ConfigPair[]; format: RepositoryFormat },
): ReferenceSettings | undefined {
  const own = readSettings(repository);
  const added = givenSettings(repository, service, config);
  if (own === undefined || added === undefined || !isKnownFormat(own)) return undefined;
  const all = [...own.filter(({ key }) => FORMAT[key] === undefined), ...added];
  const hidden: Buffer[] = [];
  let [unborn, filter] = ['advertise', 'false'];
  for (const setting of all) {
    const { key, value } = setting;
    if (key === 'transfer.hiderefs' || key === HIDING[service]) hidden.push(value);
    else if (key === 'lsrefs.unborn' && UNBORN.test(value.toString('latin1')))
      unborn = value.toString('latin1');
    else if (!isHarmless(setting)) return undefined;
    else if (key === 'uploadpack.allowfilter') filter = value.toString('latin1');
  }
  return {
    objectFormat: format.objectFormat,
    hidden: shared(
      hiddenRefs,
      JSON.stringify(hidden.map((value) => value.toString('latin1'))),
      () => new HiddenRefs(hidden),
    ),
    allowsUnborn: unborn !== 'ignore',
    allowsFilter: filter === 'true',
    hasDefaultCompression: all.every(({ key }) => key !== 'core.compression'),
    settings: [...own, ...added],
  };
}

function isHarmless({ key, hasSubsection, value }: Setting): boolean {
  if (HARMLESS_SECTIONS.has(key.slice(0, key.indexOf('.'))) || HARMLESS_OF_REMOTE.test(key)) return true;
  return !hasSubsection && (HARMLESS[key]?.test(value.toString('latin1')) ?? false);
}

/** Reports whether git would accept the directory as a repository of a known kind. */
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
): readonly Setting[] | undefined {
  try {
    const pairs = repository.git.settings(service, { repository, config });
    if (pairs.some(({ value }) => value.includes('\0'))) return undefined;
    return shared(given, JSON.stringify(pairs), () => pairs.map(toSetting));
  } catch {
    // git is never started with such keys: the code that starts it reports them.
    return undefined;
  }
}

/** Returns a value that was made before from the same, or makes it. */
function shared<V>(values: BoundedMap<string, V>, key: string, make: () => V): V {
  const made = values.get(key) ?? make();
  values.set(key, made);
  return made;
}

function toSetting({ key, value }: ConfigPair): Setting {
  const [first, last] = [key.indexOf('.'), key.lastIndexOf('.')];
  const [section, variable] = [key.slice(0, first).toLowerCase(), key.slice(last).toLowerCase()];
  return {
    key: section + key.slice(first, last) + variable,
    hasSubsection: first !== last,
    value: keptBytes([Buffer.from(value)]),
  };
}
