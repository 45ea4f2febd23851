import { PacketLines } from './packet-lines.ts';

/** `have `, `want ` and `shallow` are recognised by it. */
const KEYWORD_BYTES = 8;
/** The bands of git's output. @see git: sideband.h */
const LAST_BAND = 3;

/** Reads what a client wants of `git upload-pack`. */
export class FetchReader {
  #hasObjects = false;
  #wants = false;
  #hasPack = false;
  readonly #input = new PacketLines(KEYWORD_BYTES, (beginning) => this.#request(beginning));
  readonly #output = new PacketLines(1, (beginning) => this.#answer(beginning));

  input(chunk: Uint8Array): void {
    this.#input.write(chunk);
  }

  output(chunk: Uint8Array): void {
    if (this.#wants) this.#output.write(chunk);
  }

  get operation(): 'clone' | 'fetch' | 'ls-refs' {
    if (this.#hasObjects) return 'fetch';
    return this.#wants ? 'clone' : 'ls-refs';
  }

  /**
   * True for a request that only negotiates which commits both sides have, before the one for the
   * pack. A pack that is not on a band is no packet.
   */
  get isNegotiation(): boolean {
    return this.#wants && !this.#hasPack && !this.#output.isForeign;
  }

  #request(beginning: Buffer | undefined): boolean {
    const keyword = beginning?.toString('latin1') ?? '';
    if (keyword.startsWith('want')) this.#wants = true;
    else if (keyword.startsWith('have ') || keyword === 'shallow ') this.#hasObjects = true;
    return !(this.#hasObjects && this.#wants);
  }

  /** Looks for the pack: only its packets begin with the number of a side band. */
  #answer(beginning: Buffer | undefined): boolean {
    const [band = LAST_BAND + 1] = beginning ?? [];
    this.#hasPack ||= band > 0 && band <= LAST_BAND;
    return !this.#hasPack;
  }
}
