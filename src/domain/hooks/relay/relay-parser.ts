import type { HookEnvironment } from '../hook-environment.ts';

/** One run of a hook, as the relay script reports it. */
export interface RelayCall {
  /** `pre-receive`, `update`, `post-receive`, `reference-transaction`; not checked. */
  readonly hook: string;
  readonly args: readonly Buffer[];
  /** Quarantine and push certificate. */
  readonly environment: HookEnvironment;
  readonly pushOptions: readonly string[];
  /** Standard input, unchanged except for a line feed that is added to an incomplete last line. */
  readonly stdin: Buffer;
}

/**
 * Message of the relay script: a complete call, or the confirmation that it has printed a piece.
 */
export type RelayEvent = RelayCall | 'printed';

const MAX_FIELD_BYTES = 1 << 20; // the kernel limits a variable or argument to 128 KiB
// Limit of all fields together; the kernel's limit for arguments and variables is 2 MiB by default.
const MAX_FIELDS_BYTES = 8 << 20;
// Two million references; a larger push is refused before it fills the memory.
export const MAX_CHANGES_BYTES = 256 << 20;

const LINE_FEED = 0x0a;
const SPACE = 0x20;

/**
 * Takes the script's side of the protocol apart (src/hook/relay.md). Bytes come in any pieces. A
 * script that does not keep to the protocol or its limits is an error: the push is refused, because
 * what it should check is not known.
 */
export class RelayParser {
  #state: 'idle' | 'fields' | 'input' = 'idle';
  #line: Buffer[] = [];
  #lineBytes = 0;
  #fields: { letter: string; text: Buffer }[] = [];
  #input: Buffer[] = [];
  #bytes = 0;

  /** @throws {Error} on a line that makes no sense, or too many bytes. */
  *push(chunk: Buffer): Generator<RelayEvent> {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      const line = this.#take(chunk.subarray(start, end));
      start = end + 1;
      const event = this.#read(line);
      if (event !== undefined) yield event;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  #take(rest: Buffer): Buffer {
    if (this.#line.length === 0) return rest;
    const line = Buffer.concat([...this.#line, rest]);
    this.#line = [];
    this.#lineBytes = 0;
    return line;
  }

  #keep(part: Buffer): void {
    this.#lineBytes += part.length;
    if (this.#lineBytes > MAX_FIELD_BYTES) throw new Error('hook relay: line too long');
    this.#line.push(part);
  }

  #read(line: Buffer): RelayEvent | undefined {
    switch (this.#state) {
      case 'idle':
        if (line.length === 1 && line[0] === 0x4b) return 'printed';
        if (!line.subarray(0, 2).equals(Buffer.from('H '))) throw new Error('hook relay: call expected');
        this.#fields = [];
        this.#input = [];
        this.#bytes = 0;
        this.#state = 'fields';
        this.#readField(line);
        return undefined;
      case 'fields':
        if (line.length === 1 && line[0] === 0x44) {
          this.#state = 'input';
          this.#bytes = 0;
        } else {
          this.#readField(line);
        }
        return undefined;
      case 'input':
        return this.#readInput(line);
    }
  }

  #readField(line: Buffer): void {
    if (line[1] !== SPACE) throw new Error('hook relay: field expected');
    this.#bytes += line.length;
    if (this.#bytes > MAX_FIELDS_BYTES) throw new Error('hook relay: too many fields');
    const letter = String.fromCharCode(line[0] ?? 0);
    const text = Buffer.from(line.subarray(2));
    const last = this.#fields.at(-1); // the first field is the name of the hook
    if (letter === '+' && last !== undefined) last.text = Buffer.concat([last.text, Buffer.from('\n'), text]);
    else this.#fields.push({ letter, text });
  }

  #readInput(line: Buffer): RelayCall | undefined {
    if (line[0] === SPACE) {
      this.#bytes += line.length;
      if (this.#bytes > MAX_CHANGES_BYTES) throw new Error('hook relay: too many reference updates');
      this.#input.push(line.subarray(1), Buffer.from('\n'));
      return undefined;
    }
    if (line.length !== 1 || line[0] !== 0x2e) throw new Error('hook relay: input expected');
    this.#state = 'idle';
    return toCall(this.#fields, Buffer.concat(this.#input));
  }
}

function toCall(fields: readonly { letter: string; text: Buffer }[], stdin: Buffer): RelayCall {
  const args: Buffer[] = [];
  const pushOptions: string[] = [];
  const call = { hook: '', args, pushOptions, stdin };
  const environment: Record<string, string> = Object.create(null);
  for (const { letter, text } of fields) {
    if (letter === 'H') call.hook = text.toString();
    else if (letter === 'A') call.args.push(text);
    else if (letter === 'P') call.pushOptions.push(text.toString());
    else if (letter === 'O') environment.GIT_OBJECT_DIRECTORY = text.toString();
    else if (letter === 'T') environment.GIT_ALTERNATE_OBJECT_DIRECTORIES = text.toString();
    else if (letter === 'C') setVariable(environment, text.toString());
    else throw new Error('hook relay: unknown field');
  }
  return { ...call, environment };
}

function setVariable(environment: Record<string, string>, assignment: string): void {
  const at = assignment.indexOf('=');
  if (at > 0 && at < assignment.length - 1) environment[assignment.slice(0, at)] = assignment.slice(at + 1);
}
