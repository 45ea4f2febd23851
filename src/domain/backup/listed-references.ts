import { createHash, type Hash } from 'node:crypto';

const LINE_FEED = 0x0a;
const HEAD_LINE = Buffer.from(' HEAD\n');
/**
 * First bytes of the lines of a bundle's header that are not references: signature and
 * capabilities.
 */
const [SIGNATURE, CAPABILITY] = [0x23, 0x40];
/** Longer than any name of a reference. */
const MAX_LINE_BYTES = 64 * 1024;

/**
 * A list of references, of which only checksums are kept.
 *
 * Lines are `<object id> <name>`, HEAD first, the others in the order of names, as of
 * `BackupSource.referenceLines`.
 */
export class ListedReferences {
  readonly #all = createHash('sha256');
  readonly #withoutHead = createHash('sha256');
  #digests: { readonly all: string; readonly withoutHead: string } | undefined;
  #isEmpty = true;

  /** Passes the lines on. To be called once. */
  async *pass(lines: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of lines) {
      this.#isEmpty = false;
      this.#all.update(piece);
      updateWithoutHead(this.#withoutHead, piece);
      yield piece;
    }
    this.#digests = { all: this.#all.digest('hex'), withoutHead: this.#withoutHead.digest('hex') };
  }

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** SHA-256 of the lines; empty before all were passed. */
  get digest(): string {
    return this.#digests?.all ?? '';
  }

  /** Returns a check of the header of a bundle with all references. */
  headerCheck(): HeaderCheck {
    return new HeaderCheck(this.#digests?.withoutHead ?? '');
  }
}

/**
 * Compares the references in the header of a full bundle with a list, HEAD apart.
 *
 * @see git: Documentation/gitformat-bundle
 */
export class HeaderCheck {
  readonly #expected: string;
  readonly #hash = createHash('sha256');
  /** Start of a line whose end has not arrived. */
  #rest: Buffer = Buffer.alloc(0);
  #state: 'reading' | 'equal' | 'different' = 'reading';

  constructor(expected: string) {
    this.#expected = expected;
  }

  /** Adds bytes of the bundle, those after the header too. @returns `reading` before its end. */
  add(piece: Buffer): 'reading' | 'equal' | 'different' {
    if (this.#state !== 'reading') return this.#state;
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let at = 0;
    while (bytes[at] === SIGNATURE || bytes[at] === CAPABILITY) {
      const end = bytes.indexOf(LINE_FEED, at);
      if (end === -1) break;
      at = end + 1;
    }
    const isAtEnd = bytes[at] === LINE_FEED;
    const blank = isAtEnd ? at : bytes.indexOf('\n\n', at) + 1;
    const isOver = isAtEnd || blank > 0;
    const end = isOver ? blank : bytes.lastIndexOf(LINE_FEED) + 1;
    if (end > at) updateWithoutHead(this.#hash, bytes.subarray(at, end));
    this.#rest = bytes.subarray(Math.max(at, end));
    if (isOver) this.#state = this.#hash.digest('hex') === this.#expected ? 'equal' : 'different';
    else if (this.#rest.length > MAX_LINE_BYTES) this.#state = 'different';
    return this.#state;
  }
}

/** Adds complete lines to a hash, without the line of HEAD. */
function updateWithoutHead(hash: Hash, lines: Buffer): void {
  const name = lines.indexOf(HEAD_LINE);
  if (name === -1) {
    hash.update(lines);
    return;
  }
  hash.update(lines.subarray(0, lines.lastIndexOf(LINE_FEED, name) + 1));
  hash.update(lines.subarray(name + HEAD_LINE.length));
}
