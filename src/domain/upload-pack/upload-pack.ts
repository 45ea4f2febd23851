import { Writable } from 'node:stream';
import { abortable } from '#base/async/abortable';
import { PacketSplitter } from '#base/pkt-line/packet-splitter';
import { flag, gitCommand } from '#git/command/git-command';
import { abortError } from '#git/command/process/exit-error';
import { isListable } from '../git-service/advertised-packets.ts';
import { advertisesBundleUri, bundleUriSettings } from '../git-service/bundle-uri-settings.ts';
import type { CapabilityAdvertisements } from '../git-service/capability-advertisements.ts';
import { watchNegotiation } from '../git-service/negotiation-limit.ts';
import { runLimited } from '../git-service/run-limited.ts';
import { SERVED, type ServiceResult, sendPieces } from '../git-service/service-streams.ts';
import { ClientInput } from './client-input.ts';
import type { Fetch, FetchResult, FetchServer } from './fetch.ts';
import { lsRefsServer } from './ls-refs-server.ts';
import { Negotiation } from './negotiation.ts';
import { type PackTurns, packGate } from './pack-gate.ts';
import type { SharedFetches } from './shared-fetches.ts';

export interface UploadPackOptions {
  /** Advertisements of earlier conversations. */
  readonly capabilities: CapabilityAdvertisements;
  readonly shared: SharedFetches;
  readonly turns: PackTurns;
}

/** The beginning of a fetch. */
interface Beginning {
  /** False if git has to serve all of it. */
  readonly canAnswer: boolean;
  /** Creates git's output; most conversations need none. */
  readonly makeOutput: () => Writable;
}

/** git's advertisement in protocol v2 has about 300 bytes. */
const MAX_ADVERTISEMENT_BYTES = 64 * 1024;
/** Packet after which the pack is made: the client requests nothing more. */
const DONE = Buffer.from('done\n');
const TOO_SLOW: ServiceResult = { ...SERVED, exit: { ...SERVED.exit, code: undefined } };

/** Serves fetches; see README.md. */
export class UploadPack {
  readonly #options: UploadPackOptions;
  /** They are tried in this order for each request; git serves what none of them answers. */
  readonly #servers: readonly FetchServer[];

  constructor(options: UploadPackOptions) {
    this.#options = options;
    this.#servers = [lsRefsServer, options.shared];
  }

  /**
   * Serves a fetch to its end. A failing git is no error here: the meaning of its exit code differs
   * between the transports.
   *
   * @throws as {@link FetchServer.serve}; errors of the streams.
   */
  async run(fetch: Fetch): Promise<FetchResult> {
    const { negotiationTimeoutMs: timeoutMs, signal, streams } = fetch;
    const negotiation = new Negotiation();
    const tooSlow = new AbortController();
    using watch =
      timeoutMs === undefined
        ? undefined
        : watchNegotiation({ timeoutMs, until: DONE }, () => tooSlow.abort());
    const client = new ClientInput(streams.input, (chunk) => {
      watch?.push(chunk);
      negotiation.push(chunk);
    });
    const limited = watch === undefined ? signal : AbortSignal.any([signal, tooSlow.signal]);
    const result = await this.#serve({ ...fetch, signal: limited }, client).catch((error: unknown) => {
      if (!tooSlow.signal.aborted || signal.aborted) throw error;
      return TOO_SLOW;
    });
    const { isWellFormed, statistics } = negotiation;
    return { ...result, isTooSlow: tooSlow.signal.aborted, isWellFormed, statistics };
  }

  async #serve(fetch: Fetch, client: ClientInput): Promise<ServiceResult> {
    const { canAnswer, makeOutput } = await this.#begin(fetch);
    // Once for all waits: each costs listeners.
    const answered = canAnswer
      ? await abortable(this.#answer(fetch, client), fetch.signal, abortError)
      : undefined;
    return (
      answered ?? (await runGit(fetch, { input: client.rest(), stdout: makeOutput() }, this.#options.turns))
    );
  }

  /**
   * Answers requests in process until the client is satisfied; `undefined` if git has to serve the
   * rest.
   */
  async #answer(fetch: Fetch, client: ClientInput): Promise<ServiceResult | undefined> {
    for (;;) {
      const request = await client.next();
      if (request.isEnd) return SERVED;
      let result: ServiceResult | undefined;
      for (const server of this.#servers) result ??= await server.serve(request, fetch);
      if (result === undefined || fetch.isStateless || result.exit.code !== 0) return result;
    }
  }

  /**
   * Begins a conversation with git's capabilities, if they are known. Otherwise git serves all of
   * it, and the capabilities that it advertises are cached.
   */
  async #begin(fetch: Fetch): Promise<Beginning> {
    const { bundles, config, gitProtocol, isStateless, repository, signal } = fetch;
    const { stdout } = fetch.streams;
    const isV2 = gitProtocol === 'version=2';
    if (!isV2 || isStateless || !isListable(repository, config))
      return { canAnswer: isV2 && isStateless, makeOutput: () => stdout };
    const settings = [...config, advertisesBundleUri(bundles)];
    const { known, remember } = await this.#options.capabilities.lookUp(repository, settings);
    if (known === undefined) {
      const observe = (advertisement: Buffer): void => void remember([advertisement]);
      return { canAnswer: false, makeOutput: () => outputOfGit(stdout, observe) };
    }
    await abortable(sendPieces(known, stdout), signal, abortError);
    return { canAnswer: true, makeOutput: () => outputOfGit(stdout) };
  }
}

/** Serves a fetch, or its remainder, with `git upload-pack`. */
async function runGit(
  fetch: Fetch,
  { input, stdout }: { readonly input: AsyncIterable<Uint8Array>; readonly stdout: Writable },
  turns: PackTurns,
): Promise<ServiceResult> {
  const { bundles, config, gitProtocol, isStateless, repository, signal } = fetch;
  const streams = { ...fetch.streams, input, stdout };
  const command = gitCommand('upload-pack', {
    options: isStateless ? [flag('--stateless-rpc')] : [],
    args: [repository.path],
  });
  const gate = packGate({ ...fetch, streams }, turns);
  return await runLimited(repository, command, {
    config: [...config, ...bundleUriSettings(bundles), ...(gate?.config ?? [])],
    pipes: gate,
    gitProtocol,
    streams,
    signal,
  });
}

/**
 * Creates an output for git in a conversation of protocol v2. It buffers nothing, and leaves
 * `target` open: a write completes with that of `target`.
 *
 * @param onAdvertisement receives the advertisement with which git begins. Without it the
 *   advertisement is omitted, because the client has it already.
 */
function outputOfGit(target: Writable, onAdvertisement?: (bytes: Buffer) => void): Writable {
  const head = new AdvertisementHead();
  const write = (chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void => {
    const hadEnded = head.hasEnded;
    const length = head.take(chunk);
    if (head.hasEnded && !hadEnded && head.bytes.length > 0) onAdvertisement?.(head.bytes);
    const rest = onAdvertisement === undefined ? chunk.subarray(length) : chunk;
    if (rest.length === 0) done();
    else target.write(rest, done);
  };
  // writers receive the error of their write
  return new Writable({ highWaterMark: 1, write }).on('error', () => {});
}

/** Finds the first flush packet. Bytes that are not packets are not an advertisement. */
class AdvertisementHead {
  readonly #splitter = new PacketSplitter({
    packet: (length) => {
      this.#hasEnded = length === 0;
      return !this.#hasEnded;
    },
    payload: () => {},
  });
  #bytes: Buffer = Buffer.alloc(0);
  #hasEnded = false;

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The complete advertisement once it has ended; empty when there was none. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** @returns how many bytes of the chunk belong to the advertisement. */
  take(chunk: Buffer): number {
    if (this.#hasEnded) return 0;
    try {
      const length = this.#splitter.write(chunk);
      this.#bytes = Buffer.concat([this.#bytes, chunk.subarray(0, length)]);
      if (this.#bytes.length <= MAX_ADVERTISEMENT_BYTES) return length;
    } catch {
      // no packets
    }
    this.#hasEnded = true;
    this.#bytes = Buffer.alloc(0);
    return 0;
  }
}
