import { parseRegexp } from './parse-regexp.ts';
import { type Assertion, type CharacterTest, type Node, RegexpError } from './syntax-tree.ts';

type Instruction =
  | { readonly kind: 'character'; readonly matches: CharacterTest; readonly next: number }
  | { readonly kind: 'assertion'; readonly assertion: Assertion; readonly next: number }
  | { readonly kind: 'split'; readonly first: number; readonly second: number }
  | { readonly kind: 'match' };

/**
 * Limit of a compiled expression. A text of 100 characters then takes at most some milliseconds.
 * Go's own limit is some hundred times as large.
 */
const MAX_INSTRUCTIONS = 10_000;
const MATCH = 0;
const LF = 10;

/**
 * A regular expression with the syntax, the errors and the linear time of Go's `regexp`. It only
 * tells whether there is a match: a client's expression cannot take exponential time, as it could
 * in JavaScript.
 */
export class GoRegexp {
  readonly #program: Instruction[] = [{ kind: 'match' }];
  readonly #start: number;

  /** Compiles an expression. @throws {RegexpError} */
  constructor(expression: string) {
    this.#start = this.#compile(parseRegexp(expression), MATCH, expression);
  }

  /** Reports whether the expression matches anywhere in a text. */
  test(text: string): boolean {
    const characters = Int32Array.from(text, (character) => character.codePointAt(0) ?? 0);
    const [current, next] = [new States(this.#program.length), new States(this.#program.length)];
    let [active, following] = [current, next];
    for (let at = 0; at <= characters.length; at++) {
      // A match may begin at each position.
      this.#enter(active, this.#start, { characters, at });
      if (active.has(MATCH)) return true;
      const character = characters[at];
      if (character === undefined) return false;
      following.clear();
      const place = { characters, at: at + 1 };
      for (let index = 0; index < active.count; index++) {
        const instruction = this.#program[active.at(index)];
        if (instruction?.kind === 'character' && instruction.matches(character))
          this.#enter(following, instruction.next, place);
      }
      [active, following] = [following, active];
    }
    return false;
  }

  /** Adds a state and those that follow without a character. */
  #enter(states: States, start: number, place: Place): void {
    const waiting = [start];
    for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
      if (states.has(state)) continue;
      states.add(state);
      const instruction = this.#program[state];
      if (instruction?.kind === 'split') waiting.push(instruction.second, instruction.first);
      else if (instruction?.kind === 'assertion' && holds(instruction.assertion, place))
        waiting.push(instruction.next);
    }
  }

  /** Returns the first instruction of a node that continues with `next`. */
  #compile(node: Node, next: number, expression: string): number {
    switch (node.kind) {
      case 'character':
        return this.#emit({ kind: 'character', matches: node.matches, next }, expression);
      case 'assertion':
        return this.#emit({ kind: 'assertion', assertion: node.assertion, next }, expression);
      case 'sequence':
        return node.nodes.reduceRight((after, each) => this.#compile(each, after, expression), next);
      case 'alternatives':
        return node.nodes
          .map((each) => this.#compile(each, next, expression))
          .reduceRight((second, first) => this.#emit({ kind: 'split', first, second }, expression));
      case 'repeat':
        return this.#compileRepeat(node, next, expression);
    }
  }

  #compileRepeat(
    { node, min, max }: Extract<Node, { kind: 'repeat' }>,
    next: number,
    expression: string,
  ): number {
    let after = next;
    if (max === undefined) {
      const loop = this.#emit({ kind: 'split', first: next, second: next }, expression);
      this.#program[loop] = { kind: 'split', first: this.#compile(node, loop, expression), second: next };
      after = loop;
    } else {
      for (let count = min; count < max; count++) {
        const first = this.#compile(node, after, expression);
        after = this.#emit({ kind: 'split', first, second: next }, expression);
      }
    }
    for (let count = 0; count < min; count++) after = this.#compile(node, after, expression);
    return after;
  }

  #emit(instruction: Instruction, expression: string): number {
    if (this.#program.length >= MAX_INSTRUCTIONS) throw new RegexpError('expression too large', expression);
    return this.#program.push(instruction) - 1;
  }
}

interface Place {
  readonly characters: Int32Array;
  readonly at: number;
}

function holds(assertion: Assertion, { characters, at }: Place): boolean {
  const before = characters[at - 1];
  const after = characters[at];
  switch (assertion) {
    case 'text start':
      return before === undefined;
    case 'text end':
      return after === undefined;
    case 'line start':
      return before === undefined || before === LF;
    case 'line end':
      return after === undefined || after === LF;
    case 'word boundary':
      return isWord(before) !== isWord(after);
    case 'no word boundary':
      return isWord(before) === isWord(after);
  }
}

function isWord(codePoint: number | undefined): boolean {
  return codePoint !== undefined && codePoint < 128 && /\w/.test(String.fromCharCode(codePoint));
}

/** A set of states in the order in which they were added, cleared in constant time. */
class States {
  readonly #order: Uint16Array;
  readonly #position: Uint16Array;
  count = 0;

  constructor(size: number) {
    this.#order = new Uint16Array(size);
    this.#position = new Uint16Array(size);
  }

  at(index: number): number {
    return this.#order[index] ?? MATCH;
  }

  has(state: number): boolean {
    const position = this.#position[state] ?? 0;
    return position < this.count && this.#order[position] === state;
  }

  add(state: number): void {
    this.#position[state] = this.count;
    this.#order[this.count++] = state;
  }

  clear(): void {
    this.count = 0;
  }
}
