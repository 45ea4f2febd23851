import { codeOf, messageOf } from '#base/gitaly-error';
import { maskUrlCredentials } from '#platform/log/mask-urls';
import type { PageChange } from '../http/pages/page-source.ts';
import type { Identity } from '../identity.ts';
import type { AccessObserver, AccessOperation, AccessOutcome, AccessRecord } from './access-record.ts';
import { PacketLines } from './packet-lines.ts';
import { PushReader } from './push-reader.ts';

/** A longer reason is cut: it may be a hook's. */
const MAX_REASON_LENGTH = 500;

/** Codes of calls that are refused because of the client. */
const REFUSED = new Set(['NOT_FOUND', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'UNAUTHENTICATED']);

export interface AccessEntryOptions {
  readonly observer: AccessObserver;
  readonly transport: AccessRecord['transport'];
  readonly remoteAddress: string | undefined;
}

/** A request in progress, which is reported once at its end. Its fields are set as they are known. */
export class AccessEntry {
  readonly #options: AccessEntryOptions;
  readonly #startedAt = performance.now();
  #reader: FetchReader | PushReader | undefined;
  #operation: AccessOperation = 'other';
  #outcome: AccessOutcome = 'ok';
  #reason: string | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #isOver = false;
  identity: Identity | undefined;
  repository: string | undefined;
  /** Change that was made on a page. */
  change: string | undefined;
  offeredKey: string | undefined;
  /**
   * Set for one of several requests of an operation, which is reported only if it has content, or
   * fails.
   */
  part: 'capabilities' | 'request' | undefined;

  constructor(options: AccessEntryOptions) {
    this.#options = options;
  }

  /** Sets what the client wants, by the service of git or by another name. */
  set purpose(purpose: `git-${'upload-pack' | 'receive-pack' | 'upload-archive'}` | AccessOperation) {
    if (purpose === 'git-upload-pack') this.#reader = new FetchReader();
    else if (purpose === 'git-receive-pack') this.#reader = new PushReader();
    else this.#operation = purpose === 'git-upload-archive' ? 'archive' : purpose;
  }

  /** Notes bytes from the client. */
  input(chunk: Uint8Array): void {
    this.#bytesIn += chunk.byteLength;
    this.#reader?.input(chunk);
  }

  /** Notes bytes to the client. */
  output(chunk: Uint8Array): void {
    this.#bytesOut += chunk.byteLength;
    this.#reader?.output(chunk);
  }

  /** Notes a change by a page. */
  changed({ credential, name, text }: PageChange): void {
    this.identity = { glId: `username-${name}`, username: name, credential };
    this.change = text;
  }

  /** Notes the outcome. The first one counts: others are its consequences. */
  ended(outcome: Exclude<AccessOutcome, 'ok'>, reason?: string): void {
    if (this.#outcome !== 'ok') return;
    this.#outcome = outcome;
    this.#reason = reason;
  }

  /** Notes an error, whose code tells the outcome. */
  threw(error: unknown): void {
    const code = codeOf(error) ?? '';
    if (code === 'CANCELLED') this.ended('aborted');
    else this.ended(REFUSED.has(code) ? 'refused' : 'failed', messageOf(error));
  }

  /** Notes that git failed, as it says itself. A push whose references were refused is no failure. */
  exited(code: number): void {
    if (!(this.#reader instanceof PushReader && this.#reader.refusal !== undefined))
      this.ended('failed', `git exited with code ${code}`);
  }

  /** Reports the request, unless nothing is worth it. Further calls do nothing. */
  report(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const push = this.#reader instanceof PushReader ? this.#reader : undefined;
    if (push?.refusal !== undefined) this.ended('refused', push.refusal);
    if (this.#outcome === 'ok' && this.#isEmptyPart()) return;
    const reason = this.#reason && maskUrlCredentials(this.#reason.slice(0, MAX_REASON_LENGTH));
    const { change, identity, offeredKey, repository } = this;
    this.#options.observer({
      transport: this.#options.transport,
      operation: this.#operationOf(),
      outcome: this.#outcome,
      ...(reason !== undefined && { reason }),
      ...(identity !== undefined && { identity }),
      ...(offeredKey !== undefined && { offeredKey }),
      ...(change !== undefined && { change }),
      remoteAddress: this.#options.remoteAddress,
      ...(repository !== undefined && { repository }),
      references: push?.references ?? [],
      referenceCount: push?.count ?? 0,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      endedAt: new Date(),
      durationMs: performance.now() - this.#startedAt,
    });
  }

  /** Reports whether another request of the operation has its content. */
  #isEmptyPart(): boolean {
    if (this.part !== 'request') return this.part === 'capabilities';
    if (this.#reader instanceof PushReader) return this.#reader.count === 0;
    return this.#reader?.isNegotiation === true;
  }

  #operationOf(): AccessOperation {
    const reader = this.#reader;
    if (reader === undefined) return this.#operation;
    const isOk = this.#outcome === 'ok';
    if (reader instanceof PushReader) return isOk && reader.count === 0 ? 'ls-refs' : 'push';
    return reader.operation === 'ls-refs' && !isOk ? 'fetch' : reader.operation;
  }
}

/** `have `, `want ` and `shallow` are recognised by it. */
const KEYWORD_BYTES = 8;
/** The bands of git's output. @see git: sideband.h */
const LAST_BAND = 3;

/** Reads what a client wants of `git upload-pack`. */
class FetchReader {
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
