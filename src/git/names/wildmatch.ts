/**
 * Options of git's shell patterns (its `wildmatch`). They are compiled to a state machine that
 * reads every byte of a name once: matching takes at most the length of the pattern times that of
 * the name.
 */
export interface WildmatchOptions {
  /** `*`, `?` and `[…]` do not match a slash; `**` between slashes does (WM_PATHNAME). */
  readonly pathname?: boolean;
  /** ASCII letters match in either case (WM_CASEFOLD). */
  readonly ignoreCase?: boolean;
}

/** Counts the work of matching, so that a caller can limit it. */
export interface MatchWork {
  /** Number of examined pairs of a pattern's state and a name's byte: some nanoseconds each. */
  steps: number;
}

/** Reports whether a name matches, and adds the cost to `work`. */
export type Wildmatch = (name: Uint8Array, work?: MatchWork) => boolean;

/** Bytes accepted by a state: one of them, or a set, which states share if possible. */
type Bytes = number | Uint8Array;

/** One state of the machine. */
type State =
  /** Accepts one byte and continues with the next state. */
  | { readonly kind: 'byte'; readonly bytes: Bytes }
  /** Stays for every byte of the set, or continues without one. */
  | { readonly kind: 'many'; readonly bytes: Uint8Array }
  /** Continues, or skips the next states, without a byte. */
  | { readonly kind: 'skip'; readonly states: number };

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const BANG = 0x21;
const CARET = 0x5e;
const DASH = 0x2d;
const COLON = 0x3a;

const ANY = new Uint8Array(256).fill(1);
const NO_SLASH = ANY.with(SLASH, 0);

const isUpper = (byte: number): boolean => byte >= 0x41 && byte <= 0x5a;
const isLower = (byte: number): boolean => byte >= 0x61 && byte <= 0x7a;
const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isAlpha = (byte: number): boolean => isUpper(byte) || isLower(byte);
const isPrint = (byte: number): boolean => byte >= 0x20 && byte <= 0x7e;

/** ASCII only, as in git. */
const CLASSES: Readonly<Record<string, (byte: number) => boolean>> = {
  alnum: (byte) => isAlpha(byte) || isDigit(byte),
  alpha: isAlpha,
  blank: (byte) => byte === 0x20 || byte === 0x09,
  cntrl: (byte) => byte < 0x20 || byte === 0x7f,
  digit: isDigit,
  graph: (byte) => isPrint(byte) && byte !== 0x20,
  lower: isLower,
  print: isPrint,
  punct: (byte) => isPrint(byte) && byte !== 0x20 && !isAlpha(byte) && !isDigit(byte),
  space: (byte) => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d,
  upper: isUpper,
  xdigit: (byte) => isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66),
};

/**
 * Returns the position of the first byte that is special in a pattern (`*`, `?`, `[`, `\`); -1 if
 * there is none.
 */
export function firstWildcard(pattern: Uint8Array): number {
  return pattern.findIndex(
    (byte) => byte === STAR || byte === QUESTION || byte === OPEN || byte === BACKSLASH,
  );
}

/**
 * Compiles a pattern to a test of names. A malformed pattern (an open bracket, an unknown class)
 * matches nothing.
 */
export function compileWildmatch(pattern: Uint8Array, options: WildmatchOptions = {}): Wildmatch {
  const states = new PatternReader(pattern, options).read();
  if (states === undefined) return () => false;
  const machine = new Machine(states, options.ignoreCase === true);
  return (name, work) => machine.matches(name, work);
}

/** Runs the states over a name, all active ones at once. */
class Machine {
  readonly #states: readonly State[];
  readonly #ignoreCase: boolean;
  /** The position in the name, from 1, at which each state was last entered. */
  readonly #enteredAt: Uint32Array;
  /** Shorter names cannot match; so a long pattern costs nothing. */
  readonly #minBytes: number;
  #active: number[] = [];
  #next: number[] = [];

  constructor(states: readonly State[], ignoreCase: boolean) {
    this.#states = states;
    this.#ignoreCase = ignoreCase;
    this.#enteredAt = new Uint32Array(states.length + 1);
    this.#minBytes = minBytes(states);
  }

  matches(name: Uint8Array, work?: MatchWork): boolean {
    if (name.length < this.#minBytes) return false;
    this.#enteredAt.fill(0);
    this.#next.length = 0;
    let steps = 1;
    let at = 1;
    this.#enter(0, at);
    for (const byte of name) {
      [this.#active, this.#next] = [this.#next, this.#active];
      this.#next.length = 0;
      if (this.#active.length === 0) break;
      steps += this.#active.length;
      at++;
      const folded = this.#ignoreCase && isUpper(byte) ? byte + 0x20 : byte;
      for (const index of this.#active) this.#take(index, folded, at);
    }
    if (work !== undefined) work.steps += steps;
    return this.#enteredAt[this.#states.length] === name.length + 1;
  }

  #take(index: number, byte: number, at: number): void {
    const state = this.#states[index];
    if (state === undefined || state.kind === 'skip') return;
    const { bytes } = state;
    if (typeof bytes === 'number' ? bytes !== byte : bytes[byte] === 0) return;
    this.#enter(state.kind === 'many' ? index : index + 1, at);
  }

  /** Adds a state, and those reachable from it without a byte. */
  #enter(first: number, at: number): void {
    for (let index = first; this.#enteredAt[index] !== at; index++) {
      this.#enteredAt[index] = at;
      const state = this.#states[index];
      if (state === undefined) return;
      if (state.kind === 'skip') {
        this.#enter(index + state.states, at);
        continue;
      }
      this.#next.push(index);
      if (state.kind === 'byte') return;
    }
  }
}

/** Returns the length of the shortest name that the states accept. */
function minBytes(states: readonly State[]): number {
  let bytes = 0;
  for (let index = 0; index < states.length; index++) {
    const state = states[index];
    if (state?.kind === 'byte') bytes++;
    else if (state?.kind === 'skip') index += state.states - 1;
  }
  return bytes;
}

class PatternReader {
  readonly #pattern: Uint8Array;
  readonly #options: WildmatchOptions;
  readonly #states: State[] = [];
  /** The state after the last `**` with its slash. */
  #afterDirectories: number | undefined;
  #at = 0;

  constructor(pattern: Uint8Array, options: WildmatchOptions) {
    this.#pattern = pattern;
    this.#options = options;
  }

  /** Returns the states; `undefined` for a malformed pattern. */
  read(): State[] | undefined {
    for (;;) {
      const byte = this.#pattern[this.#at];
      if (byte === undefined) return this.#states;
      if (byte === STAR) this.#readStars();
      else if (byte === QUESTION) this.#take(this.#options.pathname === true ? NO_SLASH : ANY);
      else if (byte === OPEN) {
        const set = this.#readSet();
        if (set === undefined) return undefined;
        this.#take(set);
      } else {
        if (byte === BACKSLASH) this.#at++;
        const literal = this.#pattern[this.#at];
        if (literal === undefined) return undefined;
        this.#take(this.#single(literal, byte === BACKSLASH));
      }
    }
  }

  #take(bytes: Bytes): void {
    this.#states.push({ kind: 'byte', bytes });
    this.#at++;
  }

  /**
   * Adds a byte. git does not fold the case of a byte after a backslash, although it folds the
   * name's.
   */
  #single(byte: number, isQuoted: boolean): number {
    return this.#options.ignoreCase === true && !isQuoted && isUpper(byte) ? byte + 0x20 : byte;
  }

  #readStars(): void {
    const start = this.#at;
    while (this.#pattern[this.#at] === STAR) this.#at++;
    if (this.#options.pathname !== true) {
      this.#states.push({ kind: 'many', bytes: ANY });
      return;
    }
    const next = this.#pattern[this.#at];
    const isBetweenSlashes =
      this.#at - start > 1 &&
      (start === 0 || this.#pattern[start - 1] === SLASH) &&
      (next === undefined || next === SLASH || (next === BACKSLASH && this.#pattern[this.#at + 1] === SLASH));
    if (!isBetweenSlashes) {
      this.#states.push({ kind: 'many', bytes: NO_SLASH });
      return;
    }
    // `**/` may match no directory; then its slash does not match either.
    if (next === SLASH) {
      // A repetition adds nothing but work.
      if (this.#afterDirectories === this.#states.length) {
        this.#at++;
        return;
      }
      this.#states.push({ kind: 'skip', states: 3 });
      this.#afterDirectories = this.#states.length + 2;
    }
    this.#states.push({ kind: 'many', bytes: ANY });
  }

  /** Returns the bytes of a bracket expression; leaves the position on the closing bracket. */
  #readSet(): Uint8Array | undefined {
    const { ignoreCase = false, pathname = false } = this.#options;
    const set = new Uint8Array(256);
    this.#at++;
    const isNegated = this.#pattern[this.#at] === BANG || this.#pattern[this.#at] === CARET;
    if (isNegated) this.#at++;
    let previous = 0;
    do {
      const byte = this.#pattern[this.#at];
      if (byte === undefined) return undefined;
      const afterNext = this.#pattern[this.#at + 1];
      if (byte === BACKSLASH) {
        if (afterNext === undefined) return undefined;
        this.#at++;
        set[afterNext] = 1;
        previous = afterNext;
      } else if (byte === DASH && previous !== 0 && afterNext !== undefined && afterNext !== CLOSE) {
        this.#at++;
        if (afterNext === BACKSLASH) this.#at++;
        const last = this.#pattern[this.#at];
        if (last === undefined) return undefined;
        addRange(set, previous, last, ignoreCase);
        previous = 0;
      } else if (byte === OPEN && afterNext === COLON) {
        const name = this.#classNameAhead();
        if (name === undefined) return undefined;
        if (name === false) {
          set[OPEN] = 1;
          previous = OPEN;
        } else {
          if (!addClass(set, name, ignoreCase)) return undefined;
          this.#at += name.length + 3;
          previous = 0;
        }
      } else {
        set[byte] = 1;
        previous = byte;
      }
      this.#at++;
    } while (this.#pattern[this.#at] !== CLOSE);
    if (isNegated) for (let each = 0; each < 256; each++) set[each] = set[each] === 1 ? 0 : 1;
    if (pathname) set[SLASH] = 0;
    return set;
  }

  /**
   * Returns the name in `[:name:]`; `false` for other text, `undefined` if the bracket is never
   * closed.
   */
  #classNameAhead(): string | false | undefined {
    const start = this.#at + 2;
    const close = this.#pattern.indexOf(CLOSE, start);
    if (close === -1) return undefined;
    if (close - start < 1 || this.#pattern[close - 1] !== COLON) return false;
    return Buffer.from(this.#pattern.subarray(start, close - 1)).toString('latin1');
  }
}

/** Adds the bytes of a class such as `alpha`; returns false if there is no such class. */
function addClass(set: Uint8Array, name: string, ignoreCase: boolean): boolean {
  const test = CLASSES[name];
  if (test === undefined || !Object.hasOwn(CLASSES, name)) return false;
  for (let each = 1; each < 256; each++) {
    if (test(each) || (name === 'upper' && ignoreCase && isLower(each))) set[each] = 1;
  }
  return true;
}

function addRange(set: Uint8Array, first: number, last: number, ignoreCase: boolean): void {
  for (let byte = first; byte <= last; byte++) {
    set[byte] = 1;
    if (ignoreCase && isUpper(byte)) set[byte + 0x20] = 1;
  }
}
