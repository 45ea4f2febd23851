import { GitalyError } from '#base/gitaly-error';
import { trimmedEnd } from '#base/trim';

/** A metadata value: text, or bytes for keys that end in `-bin`. */
export type MetadataValue = string | Uint8Array;

/** A source of a `Metadata`. */
export type MetadataInit = Metadata | Readonly<Record<string, MetadataValue | readonly MetadataValue[]>>;

const LOWER_N = 0x6e;
const NO_PAIRS: readonly string[] = [];
const KEY = /^[0-9a-z_.-]+$/;
const UPPER = /[A-Z]/;
const PRINTABLE = /^[\x20-\x7e]*$/;

/**
 * Headers or trailers of an RPC: an ordered list of keys and values. Keys are lower-case and may
 * occur more than once.
 *
 * Keys that end in `-bin` carry bytes. They can be set from a string (its UTF-8 bytes) or bytes;
 * `get` decodes them as UTF-8, `getBytes` returns the bytes. Base64 is used only on the wire. It is
 * decoded when a value is first read, with or without padding; several values joined by a comma are
 * split.
 *
 * The list keeps the wire format, so unread headers cost nothing.
 */
export class Metadata {
  /** key, wire value, key, wire value, … */
  readonly #pairs: string[];

  private constructor(pairs: string[]) {
    this.#pairs = pairs;
  }

  /** Returns a copy of `init`, or an empty list. */
  static from(init?: MetadataInit): Metadata {
    if (init instanceof Metadata) return init.clone();
    const metadata = new Metadata([]);
    if (init === undefined) return metadata;
    if (isOfAnotherCopy(init)) return new Metadata(wirePairs(init));
    for (const [key, value] of Object.entries(init)) {
      if (typeof value === 'string' || value instanceof Uint8Array) metadata.append(key, value);
      else for (const one of value) metadata.append(key, one);
    }
    return metadata;
  }

  /**
   * Wraps a flat list of lower-case keys and wire values, as HTTP/2 delivers it. Pseudo headers
   * (`:path`) in it are hidden. The list is not copied.
   */
  static fromWire(pairs: string[]): Metadata {
    return new Metadata(pairs);
  }

  /** Returns the first value of a key. */
  get(key: string): string | undefined {
    const wire = this.#firstWire(key);
    if (wire === undefined || !isBinary(key)) return wire;
    return decodeBinary(wire)[0]?.toString('utf8');
  }

  /** Returns the last value of a key. */
  last(key: string): string | undefined {
    return this.getAll(key).at(-1);
  }

  /** Returns all values of a key in order. */
  getAll(key: string): string[] {
    const lower = key.toLowerCase();
    const values: string[] = [];
    for (let i = 0; i < this.#pairs.length; i += 2) {
      const wire = this.#pairs[i + 1];
      if (this.#pairs[i] !== lower || wire === undefined) continue;
      if (isBinary(lower)) for (const bytes of decodeBinary(wire)) values.push(bytes.toString('utf8'));
      else values.push(wire);
    }
    return values;
  }

  /** Returns the bytes of the first value; for keys without `-bin` the UTF-8 bytes of the text. */
  getBytes(key: string): Buffer | undefined {
    const wire = this.#firstWire(key);
    if (wire === undefined) return undefined;
    return isBinary(key) ? decodeBinary(wire)[0] : Buffer.from(wire, 'utf8');
  }

  has(key: string): boolean {
    return this.#firstWire(key) !== undefined;
  }

  /** Replaces all values of a key. */
  set(key: string, value: MetadataValue): void {
    this.delete(key);
    this.append(key, value);
  }

  /**
   * Adds a value for a key.
   * @throws {GitalyError} INTERNAL for keys and values that gRPC does not allow (text of grpc-go).
   */
  append(key: string, value: MetadataValue): void {
    const isLower = KEY.test(key);
    const lower = isLower ? key : key.toLowerCase();
    if (!isLower && !KEY.test(lower))
      throw new GitalyError('INTERNAL', `header key ${JSON.stringify(key)} contains illegal characters`);
    if (isBinary(lower)) {
      this.#pairs.push(lower, encodeBinary(value));
      return;
    }
    const text = typeof value === 'string' ? value : Buffer.from(value).toString('latin1');
    if (!PRINTABLE.test(text)) {
      throw new GitalyError(
        'INTERNAL',
        `header key ${JSON.stringify(key)} contains value with non-printable ASCII characters`,
      );
    }
    this.#pairs.push(lower, text);
  }

  /** Adds an entry as {@link forEachWire} yields it. */
  appendWire(key: string, value: string): void {
    this.#pairs.push(key, value);
  }

  delete(key: string): void {
    const lower = KEY.test(key) ? key : key.toLowerCase();
    if (!this.#pairs.includes(lower)) return; // most keys are new
    for (let i = this.#pairs.length - 2; i >= 0; i -= 2)
      if (this.#pairs[i] === lower) this.#pairs.splice(i, 2);
  }

  get isEmpty(): boolean {
    return this.#pairs.length === 0;
  }

  /** Returns keys and values in order, one entry per value; bytes for `-bin` keys. */
  entries(): [string, string | Buffer][] {
    const entries: [string, string | Buffer][] = [];
    this.forEachWire((key, wire) => {
      if (isBinary(key)) for (const bytes of decodeBinary(wire)) entries.push([key, bytes]);
      else entries.push([key, wire]);
    });
    return entries;
  }

  /** Returns the entries whose keys have a prefix: key, value, key, value, … in wire format. */
  pairsWithPrefix(prefix: string): readonly string[] {
    let pairs: string[] | undefined;
    for (let i = 0; i < this.#pairs.length; i += 2) {
      const key = this.#pairs[i];
      if (!key?.startsWith(prefix)) continue;
      pairs ??= [];
      pairs.push(key, this.#pairs[i + 1] ?? '');
    }
    return pairs ?? NO_PAIRS;
  }

  /** Visits keys and values in wire format (base64 for `-bin` keys). */
  forEachWire(visit: (key: string, value: string) => void): void {
    for (let i = 0; i < this.#pairs.length; i += 2) {
      const key = this.#pairs[i];
      const value = this.#pairs[i + 1];
      if (key !== undefined && value !== undefined && key.charCodeAt(0) !== 0x3a) visit(key, value);
    }
  }

  /** Copies all keys of `init`; each replaces the existing values. */
  assign(init: MetadataInit): void {
    if (init instanceof Metadata) {
      // An empty list has nothing to replace.
      const pairs = this.isEmpty ? NO_PAIRS : init.#pairs;
      for (let i = 0; i < pairs.length; i += 2) this.delete(pairs[i] ?? '');
      init.forEachWire((key, value) => this.#pairs.push(key, value));
      return;
    }
    if (isOfAnotherCopy(init)) {
      this.assign(Metadata.from(init));
      return;
    }
    for (const [key, value] of Object.entries(init)) {
      this.delete(key);
      if (typeof value === 'string' || value instanceof Uint8Array) this.append(key, value);
      else for (const one of value) this.append(key, one);
    }
  }

  clone(): Metadata {
    return new Metadata(this.#pairs.slice());
  }

  /** Returns a copy without pseudo headers and without these keys, which are in lower case. */
  without(keys: ReadonlySet<string>): Metadata {
    const pairs: string[] = [];
    this.forEachWire((key, wire) => {
      if (!keys.has(key)) pairs.push(key, wire);
    });
    return new Metadata(pairs);
  }

  #firstWire(key: string): string | undefined {
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === key) return pairs[i + 1];
    // Most keys are in lower case. `toLowerCase` makes a new text for each of them.
    return UPPER.test(key) ? this.#firstWire(key.toLowerCase()) : undefined;
  }
}

/** The part of a `Metadata` that another copy of this module can use. */
type WireSource = Pick<Metadata, 'forEachWire'>;

/** Reports whether it is a `Metadata` of `gitaly-client` in `gitaly-ts`, or the reverse. */
function isOfAnotherCopy(init: object): init is WireSource {
  return 'forEachWire' in init && typeof init.forEachWire === 'function';
}

function wirePairs(source: WireSource): string[] {
  const pairs: string[] = [];
  source.forEachWire((key, wire) => pairs.push(key, wire));
  return pairs;
}

function isBinary(key: string): boolean {
  const last = key.charCodeAt(key.length - 1) | 0x20;
  return last === LOWER_N && (key.endsWith('-bin') || key.endsWith('-BIN'));
}

function encodeBinary(value: MetadataValue): string {
  const bytes =
    typeof value === 'string'
      ? Buffer.from(value, 'utf8')
      : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return trimmedEnd(bytes.toString('base64'), '='); // grpc-go sends no padding either
}

function decodeBinary(wire: string): Buffer[] {
  return wire.split(',').map((part) => Buffer.from(part.trim(), 'base64'));
}
