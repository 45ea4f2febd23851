import { promises as dns } from 'node:dns';
import { isIP } from 'node:net';
import { waitAtMost } from '#base/async/wait-at-most';
import { messageOf } from '#base/gitaly-error';
import { joinHostPort } from '#base/go/net/host-port';
import { isError } from '#base/is-error';
import { backoffMs } from '../call/retry.ts';
import type { HostAndPort } from './address.ts';

export interface DnsResolverOptions {
  /** Interval at which a name with addresses is resolved again. Default 5 minutes. */
  readonly refreshMs?: number;
  /** Time limit of one lookup. Default 15 s. */
  readonly lookupTimeoutMs?: number;
}

/** Receiver of a name's addresses. */
export interface AddressWatcher {
  /** Handles all addresses, in the order of the response. An unknown name has none. */
  onAddresses(addresses: readonly HostAndPort[]): void;
  onError(error: Error): void;
}

const REFRESH_MS = 5 * 60_000; // as in Gitaly's resolver: DefaultDNSResolverBuilderConfig
const LOOKUP_TIMEOUT_MS = 15_000;
const RETRY_BACKOFF = { baseMs: 1000, maxMs: 60_000, multiplier: 1.5 };
/**
 * Minimum interval between lookups after hints, so that an unavailable host does not flood the name
 * server.
 */
const MIN_INTERVAL_MS = 5000;
/**
 * Addresses that mean any address of this machine, and those that respond instead: a response from
 * any other address is not accepted.
 */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
/** Results that mean "no such name", which gives an empty list and not an error. */
const NO_SUCH_NAME = new Set(['ENOTFOUND', 'ENODATA']);

/**
 * Resolves a host name at once and then repeatedly until it is closed. Its timers do not keep the
 * process alive.
 */
export class DnsResolver implements Disposable {
  readonly #target: HostAndPort & { readonly nameServer: HostAndPort | undefined };
  readonly #options: DnsResolverOptions;
  readonly #watcher: AddressWatcher;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #lastLookup = 0;
  #isLooking = false;
  #isClosed = false;

  constructor(
    target: HostAndPort & { readonly nameServer: HostAndPort | undefined },
    watcher: AddressWatcher,
    options: DnsResolverOptions = {},
  ) {
    this.#target = target;
    this.#watcher = watcher;
    this.#options = options;
    void this.#refresh();
  }

  /** Hints that the known addresses no longer work. */
  lookAgain(): void {
    if (Date.now() - this.#lastLookup >= MIN_INTERVAL_MS) void this.#refresh();
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #refresh(): Promise<void> {
    if (this.#isLooking || this.#isClosed) return;
    this.#isLooking = true;
    this.#lastLookup = Date.now();
    clearTimeout(this.#timer);
    try {
      const addresses = await lookUp(this.#target, this.#options.lookupTimeoutMs ?? LOOKUP_TIMEOUT_MS);
      // A name without addresses serves no call: it is resolved again soon, as after a failure.
      this.#failures = addresses.length > 0 ? 0 : this.#failures + 1;
      if (!this.#isClosed) this.#watcher.onAddresses(addresses);
    } catch (error) {
      this.#failures++;
      if (!this.#isClosed)
        this.#watcher.onError(new Error(`dns: record resolve error: ${messageOf(error)}`, { cause: error }));
    } finally {
      this.#isLooking = false;
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isClosed || isIP(this.#target.host) !== 0) return;
    const refreshMs = this.#options.refreshMs ?? REFRESH_MS;
    const waitMs =
      this.#failures === 0 ? refreshMs : backoffMs({ ...RETRY_BACKOFF, attempt: this.#failures });
    this.#timer = setTimeout(() => void this.#refresh(), waitMs).unref();
  }
}

async function lookUp(
  { host, port, nameServer }: HostAndPort & { readonly nameServer: HostAndPort | undefined },
  timeoutMs: number,
): Promise<HostAndPort[]> {
  if (isIP(host) !== 0) return [{ host, port }];
  const names = await (nameServer === undefined
    ? lookUpBySystem(host, timeoutMs)
    : askNameServer(host, nameServer, timeoutMs));
  return names.map((address) => ({ host: address, port }));
}

/**
 * Resolves a name with the system's resolver, including the hosts file. It cannot be aborted; a
 * late result is dropped.
 */
async function lookUpBySystem(host: string, timeoutMs: number): Promise<string[]> {
  const late = (): never => {
    throw new Error(`lookup ${host}: i/o timeout`);
  };
  try {
    const answers = await waitAtMost(dns.lookup(host, { all: true, order: 'verbatim' }), timeoutMs, late);
    return answers.map((answer) => answer.address);
  } catch (error) {
    return emptyWhenUnknown(error);
  }
}

async function askNameServer(host: string, nameServer: HostAndPort, timeoutMs: number): Promise<string[]> {
  const resolver = new dns.Resolver({ timeout: timeoutMs, tries: 1 });
  const address = isIP(nameServer.host) === 0 ? (await dns.lookup(nameServer.host)).address : nameServer.host;
  const server = LOOPBACK[address] ?? address;
  resolver.setServers([joinHostPort(server, nameServer.port)]);

  const [four, six] = await Promise.all([
    resolver.resolve4(host).catch(emptyWhenUnknown),
    resolver.resolve6(host).catch(emptyWhenUnknown),
  ]);
  return [...four, ...six];
}

function emptyWhenUnknown(error: unknown): string[] {
  if (isError(error) && 'code' in error && NO_SUCH_NAME.has(String(error.code))) return [];
  throw error;
}
