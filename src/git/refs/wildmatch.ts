/**
 * git's shell patterns (its `wildmatch`), compiled to a small machine that looks at every byte of a name once: no pattern, however
 * hostile, takes longer than its length times that of the name.
 */
export interface WildmatchOptions {
  /** `*`, `?` and `[…]` do not match a slash; `**` between slashes does (WM_PATHNAME). */
  readonly pathname?: boolean;
  /** ASCII letters match whatever their case (WM_CASEFOLD). */
  readonly ignoreCase?: boolean;
}

/** One state of the machine. */
type State =
  /** Takes one byte of the set and goes on to the next state. */
  | { readonly kind: 'byte'; readonly set: Uint8Array }
  /** Stays for every byte of the set, or goes on without taking one. */
  | { readonly kind: 'many'; readonly set: Uint8Array }
  /** Goes on, or jumps over the next states, without taking a byte. */
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

/** ASCII only, as git has it. */
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

/** The position of the first byte that makes a pattern more than a name (`*`, `?`, `[`, `\`); -1 when there is none. */
export function firstWildcard(pattern: Uint8Array): number {
  return pattern.findIndex((byte) => byte === STAR || byte === QUESTION || byte === OPEN || byte === BACKSLASH);
}

/** Compiles a pattern to a test of names. A malformed pattern (an open bracket, an unknown class) matches nothing. */
export function compileWildmatch(pattern: Uint8Array, options: WildmatchOptions = {}): (name: Uint8Array) => boolean {
  const states = new PatternReader(pattern, options).read();
  return states === undefined ? () => false : (name) => run(states, name, options.ignoreCase === true);
}

function run(states: readonly State[], name: Uint8Array, ignoreCase: boolean): boolean {
  let active = new Uint8Array(states.length + 1);
  let next = new Uint8Array(states.length + 1);
  enter(states, active, 0);
  for (const byte of name) {
    const folded = ignoreCase && isUpper(byte) ? byte + 0x20 : byte;
    next.fill(0);
    let isAlive = false;
    for (const [index, state] of states.entries()) {
      if (active[index] === 0 || state.kind === 'skip' || state.set[folded] === 0) continue;
      enter(states, next, state.kind === 'many' ? index : index + 1);
      isAlive = true;
    }
    if (!isAlive) return false;
    [active, next] = [next, active];
  }
  return active[states.length] === 1;
}

/** Marks a state, and those that are reached from it without a byte. */
function enter(states: readonly State[], active: Uint8Array, index: number): void {
  for (let at = index; active[at] === 0; at++) {
    active[at] = 1;
    const state = states[at];
    if (state === undefined || state.kind === 'byte') return;
    if (state.kind === 'skip') enter(states, active, at + state.states);
  }
}

class PatternReader {
  readonly #pattern: Uint8Array;
  readonly #options: WildmatchOptions;
  readonly #states: State[] = [];
  #at = 0;

  constructor(pattern: Uint8Array, options: WildmatchOptions) {
    this.#pattern = pattern;
    this.#options = options;
  }

  /** The states; `undefined` when the pattern is malformed. */
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

  #take(set: Uint8Array): void {
    this.#states.push({ kind: 'byte', set });
    this.#at++;
  }

  /** A byte behind a backslash is not folded by git, though the name's is. */
  #single(byte: number, isQuoted: boolean): Uint8Array {
    const folded = this.#options.ignoreCase === true && !isQuoted && isUpper(byte) ? byte + 0x20 : byte;
    const set = new Uint8Array(256);
    set[folded] = 1;
    return set;
  }

  #readStars(): void {
    const start = this.#at;
    while (this.#pattern[this.#at] === STAR) this.#at++;
    if (this.#options.pathname !== true) {
      this.#states.push({ kind: 'many', set: ANY });
      return;
    }
    const next = this.#pattern[this.#at];
    const isBetweenSlashes =
      this.#at - start > 1 &&
      (start === 0 || this.#pattern[start - 1] === SLASH) &&
      (next === undefined || next === SLASH || (next === BACKSLASH && this.#pattern[this.#at + 1] === SLASH));
    if (!isBetweenSlashes) {
      this.#states.push({ kind: 'many', set: NO_SLASH });
      return;
    }
    // `**/` may stand for no directory at all: then its slash is not there either.
    if (next === SLASH) this.#states.push({ kind: 'skip', states: 3 });
    this.#states.push({ kind: 'many', set: ANY });
  }

  /** The bytes that a bracket expression matches; leaves the position on the closing bracket. */
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
          const test = CLASSES[name];
          if (test === undefined || !Object.hasOwn(CLASSES, name)) return undefined;
          for (let each = 1; each < 256; each++) {
            if (test(each) || (name === 'upper' && ignoreCase && isLower(each))) set[each] = 1;
          }
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

  /** The name in `[:name:]`; `false` when it is no such thing, `undefined` when the bracket is never closed. */
  #classNameAhead(): string | false | undefined {
    const start = this.#at + 2;
    const close = this.#pattern.indexOf(CLOSE, start);
    if (close === -1) return undefined;
    if (close - start < 1 || this.#pattern[close - 1] !== COLON) return false;
    return Buffer.from(this.#pattern.subarray(start, close - 1)).toString('latin1');
  }
}

function addRange(set: Uint8Array, first: number, last: number, ignoreCase: boolean): void {
  for (let byte = first; byte <= last; byte++) {
    set[byte] = 1;
    if (ignoreCase && isUpper(byte)) set[byte + 0x20] = 1;
  }
}
