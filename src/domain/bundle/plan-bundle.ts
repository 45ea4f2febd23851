import { readdir } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { ignoreMissing } from '#base/files/ignore-missing';
import { flag, gitCommand, joined } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import { OID_DIGITS } from '#git/names/object-id';
import { type OidList, OidSet } from '#git/names/oid-set';
import type { Repository } from '#storage/repository';
import { bundleSignature } from './bundle-header.ts';
import { BundleReferences } from './bundle-references.ts';
import type { BundleSelection } from './bundle-selection.ts';
import { MAX_HEADER_BYTES } from './header-scan.ts';

/** The input of `pack-objects`, and the bytes before its pack. */
export interface BundlePlan {
  /** Pieces of the header, with the empty line at the end. */
  readonly header: readonly Buffer[];
  /** True if the header has no references. */
  readonly isEmpty: boolean;
  /** Standard input of `pack-objects`. */
  readonly revisions: Iterable<Buffer>;
}

const DASH = 0x2d;
const END = Buffer.from('\n');
/** White space of git's `isspace`. */
const WHITE_SPACE: ReadonlySet<number | undefined> = new Set(Buffer.from(' \t\r\n'));
/** Object ids that are passed to git at once. */
const BATCH = 1024;

/**
 * Returns the header and the revisions of the bundle that `git bundle create --all
 * --ignore-missing` creates.
 *
 * @returns `undefined` if only git can tell them. @throws {GitExitError} for a damaged repository.
 */
export async function planBundle(
  repository: Repository,
  selection: BundleSelection,
  signal: AbortSignal,
): Promise<BundlePlan | undefined> {
  if (await hasWorktrees(repository)) return undefined;
  const references = await BundleReferences.list(repository, signal);
  if (references === undefined) return undefined;
  const parts = { references, signature: bundleSignature(repository.objectFormat), selection };
  return await (selection.excluded.size === 0 ? planFull : planIncrement)(repository, parts, signal);
}

interface PlanParts {
  readonly references: BundleReferences;
  readonly signature: Buffer;
  readonly selection: BundleSelection;
}

async function planFull(
  repository: Repository,
  { references, signature, selection }: PlanParts,
  signal: AbortSignal,
): Promise<BundlePlan> {
  const added = new OidSet(repository.objectFormat);
  await addExisting(repository, selection.added, { to: added, signal });
  return {
    header: [signature, ...references.lines, END],
    isEmpty: references.lines.length === 0,
    revisions: linesOf(references.eachOid(), added),
  };
}

async function planIncrement(
  repository: Repository,
  { references, signature, selection }: PlanParts,
  signal: AbortSignal,
): Promise<BundlePlan | undefined> {
  const { wanted, excluded } = await chooseRevisions(repository, { references, selection }, signal);
  const found = await walk(repository, { wanted, excluded }, signal);
  if (!(await areCommitsOrTags(repository, wanted, { isKnown: (oid) => found.commits.has(oid), signal })))
    return undefined;
  const lines = await references.linesWith(found.shown, signal);
  return {
    header: [signature, ...found.prerequisites, ...lines, END],
    isEmpty: lines.length === 0,
    revisions: linesOf(found.shown, negated(excluded)),
  };
}

interface Revisions {
  readonly wanted: OidList;
  readonly excluded: Iterable<string>;
}

/** Returns the object ids that git would parse, without those that have no object. */
async function chooseRevisions(
  repository: Repository,
  { references, selection }: Pick<PlanParts, 'references' | 'selection'>,
  signal: AbortSignal,
): Promise<Revisions> {
  const slice = new LoopSlice();
  const excluded = await asOidSet(repository, selection.excluded, signal);
  const wanted = new OidSet(repository.objectFormat);
  const isReferenced = new Uint8Array(excluded.positionLimit);
  for (const oid of references.eachOid()) {
    if (slice.isOver) await slice.pause(signal);
    const position = excluded.positionOf(oid);
    if (position === -1) wanted.add(oid);
    else isReferenced[position] = 1;
  }
  const missing = new OidSet(repository.objectFormat);
  const unreferenced = typesOf(repository, excluded.positions(), {
    oidOf: ([position, oid]) => (isReferenced[position] === 0 ? oid : undefined),
    signal,
  });
  for await (const [oid, type] of unreferenced) if (type === undefined) missing.add(oid);
  await addExisting(repository, without(selection.added, excluded), { to: wanted, signal });
  const present = { [Symbol.iterator]: () => without(excluded, missing) };
  return { wanted, excluded: missing.size === 0 ? excluded : present };
}

async function asOidSet(repository: Repository, oids: OidList, signal: AbortSignal): Promise<OidSet> {
  if (oids instanceof OidSet) return oids;
  const slice = new LoopSlice();
  const set = new OidSet(repository.objectFormat);
  for (const oid of oids) {
    if (slice.isOver) await slice.pause(signal);
    set.add(oid);
  }
  return set;
}

interface Walked {
  /** Those wanted objects that no excluded one contains. */
  readonly shown: OidList;
  /** Those of them that are commits; some without a subject are missing. */
  readonly commits: OidList;
  /** Lines of a header: the excluded commits that are parents of included ones. */
  readonly prerequisites: readonly Buffer[];
}

/** Walks the history as `git bundle` does. Tags are listed as well, trees and blobs are not read. */
const WALK = gitCommand('rev-list', {
  options: [
    ...['--objects', '--no-object-names', '--boundary'].map(flag),
    joined('--filter', 'tree:0'),
    joined('--pretty', 'oneline'),
    flag('--stdin'),
  ],
});

async function walk(
  repository: Repository,
  { wanted, excluded }: Revisions,
  signal: AbortSignal,
): Promise<Walked> {
  const shown = new OidSet(repository.objectFormat);
  const commits = new OidSet(repository.objectFormat);
  const prerequisites: Buffer[] = [];
  if (wanted.size === 0) return { shown, commits, prerequisites };
  const digits = OID_DIGITS[repository.objectFormat];
  const input = linesOf(wanted, negated(excluded));
  for await (const lines of outputLines(repository, WALK, { input, signal, maxLineBytes: MAX_HEADER_BYTES }))
    for (const line of lines) {
      const start = line[0] === DASH ? 1 : 0;
      const oid = line.toString('latin1', start, start + digits);
      if (start === 0) {
        if (!wanted.has(oid)) continue;
        shown.add(oid);
        if (line.length > digits) commits.add(oid);
        continue;
      }
      prerequisites.push(prerequisiteOf(oid, line.subarray(start + digits)));
    }
  return { shown, commits, prerequisites };
}

/** Returns `-<oid> <subject>`, without white space around the subject. */
function prerequisiteOf(oid: string, subject: Buffer): Buffer {
  let [start, end] = [0, subject.length];
  while (start < end && WHITE_SPACE.has(subject[start])) start++;
  while (start < end && WHITE_SPACE.has(subject[end - 1])) end--;
  return Buffer.concat([Buffer.from(`-${oid} `), subject.subarray(start, end), END]);
}

function* negated(oids: Iterable<string>): Generator<string> {
  for (const oid of oids) yield `^${oid}`;
}

/** Yields the ids that are in the first list alone. */
function* without(oids: OidList, others: OidList): Generator<string> {
  for (const oid of oids) if (!others.has(oid)) yield oid;
}

function* linesOf(...lists: readonly Iterable<string>[]): Generator<Buffer> {
  for (const list of lists) for (const lines of batchesOf(list)) yield Buffer.from(`${lines.join('\n')}\n`);
}

function* batchesOf<T>(items: Iterable<T>): Generator<readonly T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Adds those ids to a set that have an object. */
async function addExisting(
  repository: Repository,
  oids: Iterable<string>,
  { to, signal }: { readonly to: OidSet; readonly signal: AbortSignal },
): Promise<void> {
  const types = typesOf(repository, oids, { oidOf: (oid) => oid, signal });
  for await (const [oid, type] of types) if (type !== undefined) to.add(oid);
}

/**
 * Reports whether objects are commits or tags. git decides by the order of the walk if it includes
 * a tree or a blob that an excluded commit contains.
 */
async function areCommitsOrTags(
  repository: Repository,
  oids: OidList,
  { isKnown, signal }: { readonly isKnown: (oid: string) => boolean; readonly signal: AbortSignal },
): Promise<boolean> {
  const oidOf = (oid: string): string | undefined => (isKnown(oid) ? undefined : oid);
  for await (const [, type] of typesOf(repository, oids, { oidOf, signal }))
    if (type !== 'commit' && type !== 'tag') return false;
  return true;
}

interface TypesOptions<T> {
  /** Returns the object id of an item; `undefined` to leave it out. */
  readonly oidOf: (item: T) => string | undefined;
  readonly signal: AbortSignal;
}

/** Yields the types of objects; `undefined` for those that do not exist. */
async function* typesOf<T>(repository: Repository, items: Iterable<T>, { oidOf, signal }: TypesOptions<T>) {
  const batches = namedIn(items, { oidOf, signal });
  // Without any, git is not started.
  const first = await batches.next();
  if (first.done === true) return;
  const source = async function* () {
    yield first.value;
    yield* batches;
  };
  for await (const batch of repository.objects.infoMany(source, { signal }))
    for (const { item, info } of batch) yield [item.oid, info?.type] as const;
}

async function* namedIn<T>(
  items: Iterable<T>,
  { oidOf, signal }: TypesOptions<T>,
): AsyncGenerator<{ readonly oid: string }[], void> {
  const slice = new LoopSlice();
  let batch: { readonly oid: string }[] = [];
  for (const item of items) {
    if (slice.isOver) await slice.pause(signal);
    const oid = oidOf(item);
    if (oid === undefined) continue;
    batch.push({ oid });
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** `git bundle` includes the HEADs of other working trees. */
async function hasWorktrees({ path }: Repository): Promise<boolean> {
  return ((await readdir(`${path}/worktrees`).catch(ignoreMissing)) ?? []).length > 0;
}
