import { createHash } from 'node:crypto';
import { exceptEnd } from '#base/streams/except-end';
import { objectsInPack, PACK_HEADER_BYTES, packHeader } from '#git/objects/pack-header';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { bundleSignature, referenceLinesOf } from './bundle-header.ts';
import { HeaderScan } from './header-scan.ts';

/** Reads a bundle from its start. */
export type BundleOpener = () => AsyncIterable<Buffer>;

export interface CombinedHeader {
  /** References in the order of names, without HEAD. */
  readonly references: readonly { readonly oid: string; readonly name: Buffer }[];
  /** Object id of HEAD; `undefined` omits it. */
  readonly head: string | undefined;
  readonly objectFormat: ObjectFormatName;
}

/** The start of a header that has its capabilities. */
const PREFACE_BYTES = 4096;
const MAX_OBJECTS = 2 ** 32 - 1;
const CHECKSUM_BYTES = { sha1: 20, sha256: 32 } as const;
/** References whose lines are built at once. */
const BATCH = 1024;
const OTHER_CAPABILITY = /^@(?!object-format=sha(?:1|256)$)/m;
const PREREQUISITE = /^-/m;
const NO_REFERENCES = /^# v[23] git bundle(?:\n@object-format=sha(?:1|256))?$/;

/**
 * One bundle of several, each of which needs objects of those before it. Its pack is theirs in a
 * row, which git accepts: deltas name their base by its distance or by its id, and an object may be
 * there twice. So a repository with all of them is created by one call, and appears whole. Older
 * versions of git (2.39) refuse it if the base of a delta by id is there twice, which it is if an
 * object has come back.
 *
 * @see git: Documentation/gitformat-pack, t/t5308-pack-detect-duplicates.sh
 */
export class CombinedBundle {
  readonly #sources: readonly BundleOpener[];
  readonly #header: CombinedHeader;
  readonly #objects: number;
  #error: unknown;

  private constructor(sources: readonly BundleOpener[], header: CombinedHeader, objects: number) {
    this.#sources = sources;
    this.#header = header;
    this.#objects = objects;
  }

  /**
   * Reads the starts of the bundles.
   *
   * @returns `undefined` for bundles that cannot be combined: with filters, damaged ones, or a
   *   first one that needs other objects.
   */
  static async open(
    sources: readonly BundleOpener[],
    header: CombinedHeader,
  ): Promise<CombinedBundle | undefined> {
    let objects = 0;
    const filled: BundleOpener[] = [];
    for (const source of sources) {
      const start = await startOf(source());
      if (start === undefined || OTHER_CAPABILITY.test(start.preface)) return undefined;
      if (start.isEmpty) continue;
      if (filled.length === 0 && PREREQUISITE.test(start.preface)) return undefined;
      objects += start.objects;
      filled.push(source);
    }
    if (filled.length === 0 || objects > MAX_OBJECTS || header.references.length === 0) return undefined;
    return new CombinedBundle(filled, header, objects);
  }

  /** The error with which {@link pieces} ended, unless its reader caused it. */
  get error(): unknown {
    return this.#error;
  }

  /** Yields the bytes of the bundle. @throws {Error} for a bundle whose checksum is wrong. */
  async *pieces(): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* headerPieces(this.#header);
      const [only, ...others] = this.#sources;
      if (only !== undefined && others.length === 0) yield* packOf(only());
      else yield* this.#pack();
    } catch (error) {
      this.#error = error;
      throw error;
    }
  }

  async *#pack(): AsyncGenerator<Buffer, void, undefined> {
    const { objectFormat } = this.#header;
    const checksum = createHash(objectFormat);
    const header = packHeader(this.#objects);
    checksum.update(header);
    yield header;
    for (const source of this.#sources)
      for await (const entries of entriesOf(packOf(source()), objectFormat)) {
        checksum.update(entries);
        yield entries;
      }
    yield checksum.digest();
  }
}

function* headerPieces({ references, head, objectFormat }: CombinedHeader): Generator<Buffer> {
  yield bundleSignature(objectFormat);
  for (let at = 0; at < references.length; at += BATCH)
    yield referenceLinesOf(references.slice(at, at + BATCH));
  yield Buffer.from(head === undefined ? '\n' : `${head} HEAD\n\n`);
}

interface BundleStart {
  /** The header, or its start. */
  readonly preface: string;
  /** True for a step without new objects: a header without references, and nothing behind it. */
  readonly isEmpty: boolean;
  /** Number of objects in the pack. */
  readonly objects: number;
}

/** Reads the start of a bundle. @returns `undefined` if git has to report the problem. */
async function startOf(bundle: AsyncIterable<Buffer>): Promise<BundleStart | undefined> {
  let text = '';
  const seen = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of bundle) {
      if (text.length < PREFACE_BYTES) text += piece.toString('latin1', 0, PREFACE_BYTES - text.length);
      yield piece;
    }
  };
  let pack = Buffer.alloc(0);
  for await (const piece of packOf(seen())) {
    pack = Buffer.concat([pack, piece.subarray(0, PACK_HEADER_BYTES)]);
    if (pack.length >= PACK_HEADER_BYTES) break;
  }
  const end = text.indexOf('\n\n');
  const preface = end === -1 ? text : text.slice(0, end);
  if (pack.length === 0 && end !== -1 && NO_REFERENCES.test(preface))
    return { preface, isEmpty: true, objects: 0 };
  const objects = objectsInPack(pack);
  return objects === undefined ? undefined : { preface, isEmpty: false, objects };
}

/** Yields the pack of a bundle: all behind its header. */
async function* packOf(bundle: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const header = new HeaderScan();
  for await (const piece of bundle) {
    if (header.isComplete) yield piece;
    else {
      const before = header.headerBytes;
      header.add(piece);
      const start = header.headerBytes - before;
      if (header.isComplete && start < piece.length) yield piece.subarray(start);
    }
  }
}

/**
 * Yields the entries of a pack, without its header and its checksum.
 *
 * @throws {Error} for a wrong checksum: the combined pack gets its own one, which would hide this.
 */
async function* entriesOf(
  pack: AsyncIterable<Buffer>,
  objectFormat: ObjectFormatName,
): AsyncGenerator<Buffer, void, undefined> {
  const checksum = createHash(objectFormat);
  let header = PACK_HEADER_BYTES;
  for await (const bytes of exceptEnd(pack, CHECKSUM_BYTES[objectFormat], (end) => {
    if (!checksum.digest().equals(end)) throw new Error('a bundle of the backup is damaged');
  })) {
    checksum.update(bytes);
    const entries = bytes.subarray(Math.min(header, bytes.length));
    header -= bytes.length - entries.length;
    if (entries.length > 0) yield entries;
  }
}
