import { characterTest } from './character-set.ts';
import { parseClass, parsePerlClass } from './parse-class.ts';
import { type Cursor, nextCharacter, parseEscape } from './parse-escape.ts';
import { type Assertion, type Flags, type Node, RegexpError } from './syntax-tree.ts';

/** Largest count of a repetition, nested ones multiplied. @see Go: repeatIsValid */
const MAX_REPEAT = 1000;
const ANY = (): boolean => true;
const NOT_LF = (codePoint: number): boolean => codePoint !== 10;
const NOTHING: Node = { kind: 'sequence', nodes: [] };
const ESCAPED_ASSERTIONS: Readonly<Record<string, Assertion>> = {
  A: 'text start',
  z: 'text end',
  b: 'word boundary',
  B: 'no word boundary',
};

/** Parses an expression as `regexp.Compile` does. @throws {RegexpError} with Go's text. */
export function parseRegexp(text: string): Node {
  const parser = new Parser(text);
  return parser.parse();
}

class Parser {
  readonly #cursor: Cursor;
  #flags: Flags = { ignoreCase: false, multiLine: false, dotAll: false };

  constructor(text: string) {
    this.#cursor = { text, at: 0 };
  }

  parse(): Node {
    const node = this.#alternatives();
    if (this.#cursor.at < this.#cursor.text.length) throw new RegexpError('unexpected )', this.#cursor.text);
    return node;
  }

  get #rest(): string {
    return this.#cursor.text.slice(this.#cursor.at);
  }

  #alternatives(): Node {
    const nodes = [this.#sequence()];
    while (this.#rest.startsWith('|')) {
      this.#cursor.at++;
      nodes.push(this.#sequence());
    }
    return nodes.length === 1 ? (nodes[0] ?? NOTHING) : { kind: 'alternatives', nodes };
  }

  #sequence(): Node {
    const nodes: Node[] = [];
    let lastRepeat: number | undefined;
    for (let next = this.#rest[0]; next !== undefined && !'|)'.includes(next); next = this.#rest[0]) {
      const start = this.#cursor.at;
      const repeat = this.#repetition();
      if (repeat === undefined) {
        nodes.push(...this.#item(next));
        lastRepeat = undefined;
        continue;
      }
      const node = nodes.pop();
      if (node === undefined) throw this.#error('missing argument to repetition operator', start);
      if (lastRepeat !== undefined) throw this.#error('invalid nested repetition operator', lastRepeat);
      const repeated: Node = { kind: 'repeat', node, ...repeat };
      if (repeat.isCounted && !isRepeatAllowed(repeated, MAX_REPEAT))
        throw this.#error('invalid repeat count', start);
      nodes.push(repeated);
      lastRepeat = start;
    }
    return nodes.length === 1 ? (nodes[0] ?? NOTHING) : { kind: 'sequence', nodes };
  }

  #error(problem: string, from: number): RegexpError {
    return new RegexpError(problem, this.#cursor.text.slice(from, this.#cursor.at));
  }

  /** Parses `*`, `+`, `?` and `{n,m}`, each possibly with the `?` of the shortest match. */
  #repetition(): { min: number; max: number | undefined; isCounted: boolean } | undefined {
    const start = this.#cursor.at;
    const match = /^(?:([*+?])|\{(0|[1-9]\d*)(?:(,)(0|[1-9]\d*)?)?\})\??/.exec(this.#rest);
    if (match === null) return undefined;
    const [all, sign, low, comma, high] = match;
    this.#cursor.at += all.length;
    if (sign !== undefined)
      return { min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : undefined, isCounted: false };
    const min = Number(low);
    const max = comma === undefined ? min : high === undefined ? undefined : Number(high);
    if (min > MAX_REPEAT || (max !== undefined && (max > MAX_REPEAT || max < min)))
      throw this.#error('invalid repeat count', start);
    return { min, max, isCounted: true };
  }

  /** Parses one item; a group of flags has no node. */
  #item(next: string): readonly Node[] {
    const { dotAll, multiLine } = this.#flags;
    switch (next) {
      case '(':
        return this.#group();
      case '[':
        return [{ kind: 'character', matches: parseClass(this.#cursor, this.#flags) }];
      case '\\':
        return this.#escape();
      case '.':
        this.#cursor.at++;
        return [{ kind: 'character', matches: dotAll ? ANY : NOT_LF }];
      case '^':
        this.#cursor.at++;
        return [{ kind: 'assertion', assertion: multiLine ? 'line start' : 'text start' }];
      case '$':
        this.#cursor.at++;
        return [{ kind: 'assertion', assertion: multiLine ? 'line end' : 'text end' }];
      default:
        return [this.#literal(nextCharacter(this.#cursor))];
    }
  }

  #literal(character: string): Node {
    return { kind: 'character', matches: characterTest(character.codePointAt(0) ?? 0, this.#flags) };
  }

  #escape(): readonly Node[] {
    const letter = this.#rest[1] ?? '';
    if (letter === 'Q') return this.#quoted();
    const assertion = Object.hasOwn(ESCAPED_ASSERTIONS, letter) ? ESCAPED_ASSERTIONS[letter] : undefined;
    if (assertion !== undefined) {
      this.#cursor.at += 2;
      return [{ kind: 'assertion', assertion }];
    }
    const matches = parsePerlClass(this.#cursor, this.#flags);
    if (matches !== undefined) return [{ kind: 'character', matches }];
    return [this.#literal(String.fromCodePoint(parseEscape(this.#cursor)))];
  }

  /** Parses `\Q…\E`, whose end may be missing. */
  #quoted(): readonly Node[] {
    const end = this.#cursor.text.indexOf('\\E', this.#cursor.at);
    const text = this.#cursor.text.slice(this.#cursor.at + 2, end === -1 ? undefined : end);
    this.#cursor.at = end === -1 ? this.#cursor.text.length : end + 2;
    return [...text].map((character) => this.#literal(character));
  }

  #group(): readonly Node[] {
    const flags = this.#flags;
    if (this.#rest.startsWith('(?')) {
      if (this.#groupStart() === 'flags') return [];
    } else {
      this.#cursor.at++;
    }
    const node = this.#alternatives();
    if (!this.#rest.startsWith(')')) throw new RegexpError('missing closing )', this.#cursor.text);
    this.#cursor.at++;
    this.#flags = flags;
    return [node];
  }

  /** Parses `(?P<name>`, `(?<name>`, `(?flags:` and `(?flags)`. */
  #groupStart(): 'group' | 'flags' {
    const rest = this.#rest;
    if (/^\(\?P?</.test(rest)) {
      const end = rest.indexOf('>');
      const whole = rest.slice(0, end + 1);
      if (end === -1) throw new RegexpError('invalid named capture', rest);
      const name = whole.slice(whole.indexOf('<') + 1, -1);
      if (!/^[0-9A-Za-z_]+$/.test(name)) throw new RegexpError('invalid named capture', whole);
      this.#cursor.at += whole.length;
      return 'group';
    }
    return this.#flagGroup();
  }

  #flagGroup(): 'group' | 'flags' {
    const start = this.#cursor.at;
    const flags = { ...this.#flags };
    let isOn = true;
    let hasLetter = false;
    this.#cursor.at += 2;
    for (;;) {
      const letter = nextCharacter(this.#cursor);
      if (letter === 'i') flags.ignoreCase = isOn;
      else if (letter === 'm') flags.multiLine = isOn;
      else if (letter === 's') flags.dotAll = isOn;
      else if (letter === '-' && isOn) isOn = false;
      else if ((letter === ':' || letter === ')') && (isOn || hasLetter)) {
        this.#flags = flags;
        return letter === ':' ? 'group' : 'flags';
      } else if (letter !== 'U') {
        throw letter === ''
          ? new RegexpError('missing closing )', this.#cursor.text)
          : this.#error('invalid or unsupported Perl syntax', start);
      }
      // A minus sign needs a letter behind it.
      hasLetter = letter !== '-';
    }
  }
}

/** Reports whether nested counts do not multiply to more than a limit. */
function isRepeatAllowed(node: Node, limit: number): boolean {
  switch (node.kind) {
    case 'repeat': {
      const count = node.max ?? node.min;
      if (count > limit) return false;
      return isRepeatAllowed(node.node, count > 0 ? Math.floor(limit / count) : limit);
    }
    case 'sequence':
    case 'alternatives':
      return node.nodes.every((each) => isRepeatAllowed(each, limit));
    default:
      return true;
  }
}
