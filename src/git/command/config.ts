import { availableParallelism } from 'node:os';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { EMPTY_TREE } from '../names/object-id.ts';
import { SUBCOMMANDS, type SubcommandName } from './allowed.ts';

/** One setting of one git process. */
export interface ConfigPair {
  readonly key: string;
  readonly value: string;
  /**
   * Passed in the environment instead of the command line, which every user of the machine can
   * read.
   */
  readonly secret?: boolean;
}

/**
 * GitLab's own namespaces. A push may not change references in them, and they are not advertised to
 * it.
 */
const HIDDEN_FROM_PUSH = [
  'refs/environments/',
  'refs/keep-around/',
  'refs/merge-requests/',
  'refs/pipelines/',
  'refs/remotes/',
  'refs/tmp/',
];
const HIDDEN_FROM_FETCH = ['refs/keep-around/', 'refs/remotes/', 'refs/tmp/'];

const GLOBAL: readonly ConfigPair[] = [
  pair('gc.auto', '0'),
  pair('maintenance.auto', '0'),
  pair('core.autocrlf', 'false'),
  pair('core.useReplaceRefs', 'false'),
  // A repository's own settings start no programs.
  pair('core.fsmonitor', 'false'),
  pair('core.attributesFile', '/dev/null'),
  pair('protocol.ext.allow', 'never'),
  pair('commit.gpgSign', 'false'),
  pair('tag.gpgSign', 'false'),
  // The hint about info/grafts precedes the message by which a failure is recognized.
  pair('advice.graftFileDeprecated', 'false'),
  pair('core.bigFileThreshold', '50m'),
  pair('midx.version', '1'),
  pair('core.fsync', 'objects,derived-metadata,reference'),
  pair('core.fsyncMethod', 'fsync'),
  pair('core.packedRefsTimeout', '10000'),
  pair('core.filesRefLockTimeout', '1000'),
  // All references share one lock, so concurrent changes of different references wait for each
  // other.
  pair('reftable.lockTimeout', '1000'),
];

/**
 * Older versions of git accept only a boolean and exit at any other word; their default is the same
 * except for several packs.
 */
const REUSE_SEVERAL_PACKS = pair('pack.allowPackReuse', 'multi');

const THREADS = String(Math.max(1, Math.floor(Math.log2(availableParallelism()))));
const PACK = [
  pair('pack.windowMemory', '100m'),
  pair('pack.writeReverseIndex', 'true'),
  pair('pack.threads', THREADS),
];
/**
 * For commands that write files to a temporary place: all files are flushed together before they
 * are moved.
 */
const UNFLUSHED = pair('core.fsync', 'none');
const NO_REDIRECTS = pair('http.followRedirects', 'false');
const NO_TEMPLATE = pair('init.templateDir', '');
/**
 * The current default of git, which Gitaly sets too; later releases change it.
 * GIT_DEFAULT_REF_FORMAT takes precedence.
 */
const FILES_FOR_REFERENCES = pair('init.defaultRefFormat', 'files');
/**
 * Keeps a fork from advertising the objects of its pool. Git runs it at each push, whose quarantine
 * has an alternate; for Gitaly's `exit 0 #` it starts a shell.
 */
const NO_ALTERNATE_REFS = pair('core.alternateRefsCommand', 'true');

/**
 * Otherwise git searches for references with the name of an object id, six for each id that it
 * reads, only to print a warning.
 */
const NO_AMBIGUITY = pair('core.warnAmbiguousRefs', 'false');

const NO_COMMIT_GRAPH = pair('core.commitGraph', 'false');
/** They write none with the setting, and do not copy from the old one. */
const WRITES_COMMIT_GRAPH: ReadonlySet<SubcommandName> = new Set(['commit-graph', 'gc']);

const PER_COMMAND: Readonly<Partial<Record<SubcommandName, readonly ConfigPair[]>>> = {
  bundle: PACK,
  clone: [
    UNFLUSHED,
    NO_TEMPLATE,
    FILES_FOR_REFERENCES,
    NO_REDIRECTS,
    pair('transfer.bundleURI', 'true'),
    ...PACK,
    ...fsck('fetch.fsck'),
  ],
  fetch: [
    NO_ALTERNATE_REFS,
    pair('fetch.writeCommitGraph', 'false'),
    NO_REDIRECTS,
    pair('fetch.recurseSubmodules', 'no'),
    ...fsck('fetch.fsck'),
    ...PACK,
  ],
  fsck: fsck('fsck'),
  gc: PACK,
  grep: [pair('grep.threads', THREADS)],
  'index-pack': [UNFLUSHED],
  init: [
    pair('init.defaultBranch', 'main'),
    pair('init.defaultObjectFormat', 'sha1'),
    FILES_FOR_REFERENCES,
    NO_TEMPLATE,
  ],
  'ls-remote': [NO_REDIRECTS],
  'pack-objects': PACK,
  push: [NO_REDIRECTS],
  'receive-pack': [
    NO_ALTERNATE_REFS,
    pair('receive.advertisePushOptions', 'true'),
    pair('receive.autogc', 'false'),
    ...fsck('receive.fsck'),
    ...PACK,
  ],
  remote: [NO_REDIRECTS],
  repack: [pair('repack.writeBitmaps', 'true'), pair('repack.updateServerInfo', 'false'), ...PACK],
  'upload-pack': [
    pair('uploadpack.allowFilter', 'true'),
    pair('uploadpack.allowAnySHA1InWant', 'true'),
    ...PACK,
  ],
  'update-ref': [NO_AMBIGUITY],
};

const HIDING: Readonly<Partial<Record<SubcommandName, readonly ConfigPair[]>>> = {
  'receive-pack': HIDDEN_FROM_PUSH.map((prefix) => pair('receive.hideRefs', prefix)),
  'upload-pack': HIDDEN_FROM_FETCH.map((prefix) => pair('uploadpack.hideRefs', prefix)),
};

export interface ConfigOptions {
  readonly command: SubcommandName;
  /**
   * Format of the command's repository; `undefined` omits `attr.tree` (no repository, or a git
   * without that setting).
   */
  readonly objectFormat: 'sha1' | 'sha256' | undefined;
  /** True if this git reuses objects of several packs at once. */
  readonly packReuseMulti: boolean;
  /** True for a damaged commit-graph. It does not affect commands that write one. Default false. */
  readonly ignoresCommitGraph?: boolean;
  /** False shows clients the references that GitLab hides. Default true. */
  readonly hidesGitLabReferences?: boolean;
  readonly call: readonly ConfigPair[];
  readonly operator: readonly ConfigPair[];
}

/**
 * Returns all settings of one git process in git's order of precedence (a later one wins): global,
 * the command's, the call's, the operator's.
 */
export function configOf({
  command,
  objectFormat,
  packReuseMulti,
  ignoresCommitGraph = false,
  hidesGitLabReferences = true,
  call,
  operator,
}: ConfigOptions): ConfigPair[] {
  for (const setting of call) checkKey(setting);
  const packReuse = packReuseMulti ? [REUSE_SEVERAL_PACKS] : [];
  return [
    ...GLOBAL,
    ...packReuse,
    ...(ignoresCommitGraph && !WRITES_COMMIT_GRAPH.has(command) ? [NO_COMMIT_GRAPH] : []),
    ...attributes(command, objectFormat),
    ...(PER_COMMAND[command] ?? []),
    ...((hidesGitLabReferences && HIDING[command]) || []),
    ...call,
    ...operator,
  ];
}

function attributes(command: SubcommandName, objectFormat: ConfigOptions['objectFormat']): ConfigPair[] {
  if (objectFormat === undefined) return [];
  return [pair('attr.tree', SUBCOMMANDS[command].attributesOfHead ? 'HEAD' : EMPTY_TREE[objectFormat])];
}

/**
 * Matches valid keys. `git -c` splits at the first `=`, so a key with one would set something else;
 * other unusual keys are refused for safety.
 */
const KEY = /^[a-zA-Z0-9]+(\.[-/_a-zA-Z0-9]+)+$/;

function checkKey({ key, secret }: ConfigPair): void {
  if (secret === true || KEY.test(key)) return;
  throw new GitalyError('UNKNOWN', `config key ${quote(key)} failed regexp validation: invalid argument`);
}

/** Returns the environment variables with secret settings. */
export function secretEnvironment(config: readonly ConfigPair[]): Record<string, string> {
  const secrets = config.filter((setting) => setting.secret === true);
  if (secrets.length === 0) return {};
  const env: Record<string, string> = { GIT_CONFIG_COUNT: String(secrets.length) };
  for (const [index, { key, value }] of secrets.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return env;
}

/**
 * Returns settings for fsck. Old clients created objects that a strict check refuses; these three
 * harmless flaws are accepted.
 */
function fsck(prefix: string): ConfigPair[] {
  const ignored = ['badTimezone', 'missingSpaceBeforeDate', 'zeroPaddedFilemode'];
  return [
    pair('transfer.fsckObjects', 'true'),
    ...ignored.map((flaw) => pair(`${prefix}.${flaw}`, 'ignore')),
  ];
}

function pair(key: string, value: string): ConfigPair {
  return { key, value };
}
