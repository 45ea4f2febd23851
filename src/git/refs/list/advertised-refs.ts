import { statSync } from 'node:fs';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { mapAhead } from '#base/streams/map-ahead';
import { FallBackToGit } from '#git/command/in-process';
import type { HiddenRefs } from '#git/names/hidden-refs';
import { beginsWith, startsWithAny, withoutNested } from '#git/names/prefixes';
import { HEAD } from '#git/names/ref-name';
import type { GitDirectory } from '#git/repository-files/git-directory';
import { behindName, behindPrefix, edgesBelow, sortedNames } from '../storage/files/name-ranges.ts';
import type { PackedLines } from '../storage/files/packed-lines.ts';
import type { LooseRef } from '../storage/files/walk-loose-refs.ts';
import { MAX_SYMBOLIC_DEPTH } from '../storage/follow-ref.ts';
import type { AdvertisedView } from '../storage/ref-storage.ts';

/** A client's `ls-refs` request, and the visible references. */
export interface AdvertisedRefsQuery {
  /** Includes the targets of tag objects. */
  readonly peel: boolean;
  /** Includes the targets of symbolic references. */
  readonly symrefs: boolean;
  /** Includes the branch of HEAD if it does not exist yet. Has no effect without `symrefs`. */
  readonly unborn: boolean;
  /** Prefixes of the listed references; none means all. */
  readonly prefixes: readonly Buffer[];
  readonly hidden: HiddenRefs;
}

export interface AdvertiseOptions {
  readonly repository: GitDirectory;
  readonly view: AdvertisedView;
  /** Returns the target of a tag object. */
  readonly peel: (oid: string) => Promise<string | undefined>;
}

/**
 * Limit of prefixes and rules: each prefix costs some searches, and each rule a comparison with
 * every loose reference; for more, git is as fast.
 */
const MAX_PREFIXES = 1_000;
const MAX_HIDING_RULES = 100;
/**
 * Limit of loose references: git reads more of them faster, and without blocking other requests.
 */
const MAX_LOOSE = 300;
/** Objects that are looked up at once. */
const PEEL_AHEAD = 256;

const NAMESPACE = Buffer.from('refs/');

/**
 * Returns the response to `ls-refs`: packets of HEAD and of the references in the order of names,
 * and a flush packet. The pieces must not be changed; most of them are parts of the cache.
 *
 * @throws {FallBackToGit} when only git knows the answer.
 */
export async function advertisedRefs(parts: AdvertiseOptions, query: AdvertisedRefsQuery): Promise<Buffer[]> {
  const { repository, view } = parts;
  if (query.prefixes.length > MAX_PREFIXES || query.hidden.names.length > MAX_HIDING_RULES) {
    throw new FallBackToGit('very many prefixes or hidden references');
  }
  if (!isDirectory(`${repository.path}/refs`) || !isDirectory(repository.objectDirectory)) {
    throw new FallBackToGit('a directory of the repository is missing');
  }
  const prefixes = query.prefixes.length === 0 ? [NAMESPACE] : query.prefixes.flatMap(insideNamespace);
  const areas = await withoutNested(prefixes);
  const isInside = await startsWithAny(areas);
  const isVisible = (name: Buffer): boolean => isInside(name) && !query.hidden.has(name);
  const head = readHead(view);
  // Loose files are read before packed-refs: git writes that before it removes the packed files.
  const loose = (await looseRefs(view, areas)).filter(({ name }) => isInside(name));
  const lines = await view.lines();

  const shownLoose = await Array.fromAsync(
    mapAhead(loose, PEEL_AHEAD, (ref) => encoded(parts, { ref, isVisible, query })),
  );
  const first = await headPacket(parts, { head, lines }, query);
  return [
    ...(first === undefined ? [] : [first]),
    ...merged(lines, { loose: shownLoose, areas, isVisible, hidden: query.hidden }),
    FLUSH_PACKET,
  ];
}

/** Returns the references in the directories of the prefixes, in the order of names. */
async function looseRefs(view: AdvertisedView, areas: readonly Buffer[]): Promise<LooseRef[]> {
  const loose: LooseRef[] = [];
  const directories = areas.map((area) => area.subarray(0, area.lastIndexOf('/') + 1));
  for (const directory of await withoutNested(directories))
    loose.push(...(await view.others(directory, MAX_LOOSE - loose.length)));
  return loose;
}

function isHeadVisible({ prefixes, hidden }: AdvertisedRefsQuery): boolean {
  return (prefixes.length === 0 || prefixes.some((prefix) => beginsWith(HEAD, prefix))) && !hidden.has(HEAD);
}

/** Returns the part of a prefix that can match below `refs/`. */
function insideNamespace(prefix: Buffer): Buffer[] {
  if (beginsWith(prefix, NAMESPACE)) return [prefix];
  return beginsWith(NAMESPACE, prefix) ? [NAMESPACE] : [];
}

type Visibility = (name: Buffer) => boolean;

/** A loose reference with its packet; none if it is hidden or dangling. */
interface Encoded {
  readonly name: Buffer;
  readonly packet: Buffer | undefined;
}

interface Merge {
  /**
   * All loose references of the areas, in the order of names. They hide packed references of the
   * same names.
   */
  readonly loose: readonly Encoded[];
  readonly areas: readonly Buffer[];
  readonly isVisible: Visibility;
  readonly hidden: HiddenRefs;
}

/**
 * Merges references. Between two adjacent boundaries, either all packed references are visible or
 * none.
 */
function merged(lines: PackedLines, { loose, areas, isVisible, hidden }: Merge): Buffer[] {
  const edges = sortedNames([
    ...areas.flatMap(rangeOf),
    ...hidden.names.flatMap(edgesBelow),
    ...loose.flatMap(({ name }) => [name, behindName(name)]),
  ]);
  const steps = edges.map((edge) => ({ edge, from: lines.position(edge) }));
  const pieces: Buffer[] = [];
  let nextLoose = 0;
  let shown = { from: 0, to: 0 };
  const finish = (): void => {
    if (shown.from < shown.to) pieces.push(lines.slice(shown.from, shown.to));
    shown = { from: 0, to: 0 };
  };
  for (const [index, { edge, from }] of steps.entries()) {
    const ownLine = loose[nextLoose];
    if (ownLine?.name.equals(edge) === true) {
      nextLoose++;
      finish();
      if (ownLine.packet !== undefined) pieces.push(ownLine.packet);
      continue;
    }
    const to = steps[index + 1]?.from ?? lines.count;
    if (from === to || !isVisible(lines.name(from))) continue;
    if (shown.to !== from) finish();
    shown = { from: shown.from < shown.to ? shown.from : from, to };
  }
  finish();
  return pieces;
}

function rangeOf(prefix: Buffer): Buffer[] {
  const behind = behindPrefix(prefix);
  return behind === undefined ? [prefix] : [prefix, behind];
}

interface Head {
  /** The name at the end of the chain; `undefined` if HEAD contains an id itself. */
  readonly target: Buffer | undefined;
  /** `undefined` if the target does not exist. */
  readonly oid: string | undefined;
}

/** Reads the target of HEAD. @throws {FallBackToGit} when HEAD is damaged. */
function readHead(view: AdvertisedView): Head {
  const end = view.follow(HEAD);
  if (end !== undefined) return { target: end.name.equals(HEAD) ? undefined : end.name, oid: end.oid };
  let at = HEAD;
  for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH; depth++) {
    const raw = view.read(at);
    const target = depth === 0 ? undefined : at;
    if (raw === undefined && target === undefined) break;
    if (raw?.symbolicTarget === undefined) return { target, oid: raw?.oid };
    at = raw.symbolicTarget;
  }
  throw new FallBackToGit('HEAD leads through too many symbolic references, or is missing');
}

async function headPacket(
  parts: AdvertiseOptions,
  { head: { target, oid }, lines }: { head: Head; lines: PackedLines },
  query: AdvertisedRefsQuery,
): Promise<Buffer | undefined> {
  if (!isHeadVisible(query)) return undefined;
  const { peel, symrefs, unborn } = query;
  const shownTarget = symrefs ? target : undefined;
  if (oid === undefined) {
    return unborn && shownTarget !== undefined
      ? toPacket('unborn', HEAD, { target: shownTarget, peeled: undefined })
      : undefined;
  }
  return toPacket(oid, HEAD, { target: shownTarget, peeled: peel ? await peelHead() : undefined });

  /** Peels HEAD. A packed branch has its peeled value in packed-refs. */
  async function peelHead(): Promise<string | undefined> {
    const packed = target && lines.find(target);
    return packed !== undefined && packed.oid === oid ? packed.peeledOid : await parts.peel(oid ?? '');
  }
}

async function encoded(
  parts: AdvertiseOptions,
  { ref, isVisible, query }: { ref: LooseRef; isVisible: Visibility; query: AdvertisedRefsQuery },
): Promise<Encoded> {
  const { name, oid, symbolicTarget } = ref;
  if (oid === undefined || !isVisible(name)) return { name, packet: undefined };
  const peeled = query.peel ? await parts.peel(oid) : undefined;
  return {
    name,
    packet: toPacket(oid, name, { target: query.symrefs ? symbolicTarget : undefined, peeled }),
  };
}

function toPacket(
  first: string,
  name: Buffer,
  { target, peeled }: { target: Buffer | undefined; peeled: string | undefined },
): Buffer {
  const symref = target === undefined ? '' : ` symref-target:${target.toString('latin1')}`;
  const line =
    `${first} ` + `${name.toString('latin1')}${symref}${peeled === undefined ? '' : ` peeled:${peeled}`}\n`;
  return textPacket(line, 'latin1');
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
