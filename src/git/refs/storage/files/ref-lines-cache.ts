import { BoundedMap } from '#base/memory/bounded-map';
import { FallBackToGit } from '#git/command/in-process';
import { OID_DIGITS, type OidDigits } from '#git/names/object-id';
import type { RefName } from '#git/names/ref-name';
import { type LineOptions, PackedLines } from './packed-lines.ts';

/** References of one state of a storage, encoded for advertisements. */
export interface EncodedRefs {
  readonly lines: PackedLines;
  /** Names of symbolic references, which are not among the lines, in their order. */
  readonly symbolic: readonly RefName[];
}

/** References that are being encoded. */
export interface OpenedLines {
  /** Changes with the references; compared with `===`. */
  readonly stamp: object | string;
  readonly encoded: Promise<EncodedRefs>;
}

/** The references of a repository, which may be encoded already. */
export interface LinesSource {
  readonly stamp: object | string;
  readonly open: () => OpenedLines;
}

interface Entry {
  readonly stamp: object | string;
  /** `undefined` for references that only git can read. */
  readonly encoded: Promise<EncodedRefs | undefined>;
  bytes: number;
}

/** Limit of all cached lines together; the least recently used ones are removed. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** Memory of an entry in addition to its lines, and of a symbolic reference. */
const ENTRY_BYTES = 1024;
const SYMBOLIC_BYTES = 200;

/** The lines of a repository without references. */
export const NO_LINES: Readonly<Record<OidDigits, EncodedRefs>> = {
  [OID_DIGITS.sha1]: noLines(OID_DIGITS.sha1),
  [OID_DIGITS.sha256]: noLines(OID_DIGITS.sha256),
};

/**
 * The encoded references of repositories. They are built once for each state of a storage, in about
 * the time of one response of git, and used until the storage changes: git never modifies a file of
 * references, but replaces it.
 */
export class RefLinesCache {
  readonly #entries = new BoundedMap<string, Entry>({
    maxEntries: MAX_KEPT_BYTES / ENTRY_BYTES,
    maxWeight: MAX_KEPT_BYTES,
    weigh: ({ bytes }) => bytes,
  });

  /**
   * Returns the encoded references of a repository.
   *
   * @throws {FallBackToGit} when only git can interpret them.
   */
  async get(path: string, options: LineOptions, { stamp, open }: LinesSource): Promise<EncodedRefs> {
    const key = linesKey(path, options);
    const known = this.#entries.get(key);
    const encoded = await (known?.stamp === stamp ? known.encoded : this.#add(key, open()));
    if (encoded === undefined) throw new FallBackToGit('the references are none of git’s, or too many');
    return encoded;
  }

  forget(path: string): void {
    for (const digits of Object.values(OID_DIGITS)) {
      for (const peel of [true, false]) this.#entries.delete(linesKey(path, { digits, peel }));
    }
  }

  #add(key: string, { stamp, encoded }: OpenedLines): Promise<EncodedRefs | undefined> {
    const entry: Entry = { stamp, encoded: encoded.catch(undefinedOnFallBack), bytes: ENTRY_BYTES };
    this.#entries.set(key, entry);
    const isKept = (): boolean => this.#entries.peek(key) === entry;
    entry.encoded.then(
      (refs) => {
        entry.bytes += (refs?.lines.bytes ?? 0) + (refs?.symbolic.length ?? 0) * SYMBOLIC_BYTES;
        if (isKept()) this.#entries.set(key, entry); // updates the weight
      },
      () => {
        if (isKept()) this.#entries.delete(key);
      },
    );
    return entry.encoded;
  }
}

function linesKey(path: string, { digits, peel }: LineOptions): string {
  return `${path}\0${digits}${peel ? ' peeled' : ''}`;
}

function undefinedOnFallBack(error: unknown): undefined {
  if (!(error instanceof FallBackToGit)) throw error;
}

function noLines(digits: OidDigits): EncodedRefs {
  return { lines: new PackedLines(Buffer.alloc(0), Uint32Array.of(0), digits), symbolic: [] };
}
