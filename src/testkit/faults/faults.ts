import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { checkNames, didYouMean } from '#base/check-names';
import { GitalyError, STATUS_CODES, type StatusCode } from '#base/gitaly-error';
import type { FaultInjector } from '#rpc/server/fault-injector';
import type { Peer } from '#rpc/server/handler';
import type { ServerCall, ServerInterceptor } from '#rpc/server/server-call';
import { gitalyServices } from '#wire/methods';

/** A way in which calls fail. `delayMs` may be combined with `refuse` or `cut`. */
export interface FaultOptions {
  /** Time before the call is executed, or before it ends if `when` is `after`. */
  readonly delayMs?: number;
  /** Ends the call with this status; a code alone has the message `injected fault`. */
  readonly refuse?: StatusCode | { readonly code: StatusCode; readonly message: string };
  /** Closes the connection of the call, and with it all calls on that connection. */
  readonly cut?: true;
  /**
   * `before` (default): the call is not executed. `after`: it is executed, and the client gets the
   * fault instead of the result of a unary call, or instead of the end of a stream.
   */
  readonly when?: 'before' | 'after';
  /** Number of calls that the fault applies to; default all. */
  readonly times?: number;
}

const OPTION_NAMES: Readonly<Record<keyof FaultOptions, true>> = {
  delayMs: true,
  refuse: true,
  cut: true,
  when: true,
  times: true,
};

/** A fault that was added to a server. */
export interface Fault {
  /** Number of calls that it was applied to. */
  readonly hits: number;
  /** Removes the fault. Delays that have started continue. */
  remove(): void;
}

interface Entry {
  readonly method: string;
  readonly options: FaultOptions;
  hits: number;
}

const EVERY_METHOD = '*';

/** The faults of a server. They apply to calls of clients, not to calls of hooks. */
export class Faults {
  readonly #entries = new Set<Entry>();
  readonly #connections = new WeakMap<Peer, Duplex>();
  /** The part that the server calls. */
  readonly injector: FaultInjector = {
    interceptor: (call) => this.#begin(call),
    onConnection: (connection, peer) => void this.#connections.set(peer, connection),
  };

  /**
   * Adds a fault. If a method has several, the one added first applies until its `times` are used
   * up.
   *
   * @param method name of a method, `FindCommit`, or its path, `/gitaly.CommitService/FindCommit`;
   *   `*` for all
   * @throws {TypeError} for an unknown method, option or status
   */
  add(method: string, options: FaultOptions): Fault {
    checkNames('a fault', options, OPTION_NAMES);
    if (method !== EVERY_METHOD) checkMethod(method);
    if (options.delayMs === undefined && options.refuse === undefined && options.cut === undefined)
      throw new TypeError('a fault needs "delayMs", "refuse" or "cut"');
    const code = typeof options.refuse === 'object' ? options.refuse.code : options.refuse;
    if (code !== undefined && !STATUS_CODES.includes(code))
      throw new TypeError(`there is no status "${code}"${didYouMean(code, STATUS_CODES)}`);
    const entry: Entry = { method, options, hits: 0 };
    this.#entries.add(entry);
    return {
      get hits() {
        return entry.hits;
      },
      remove: () => void this.#entries.delete(entry),
    };
  }

  /** Removes all faults. */
  clear(): void {
    this.#entries.clear();
  }

  #begin(call: ServerCall): ReturnType<ServerInterceptor> {
    const fault = call.peer.transport === 'internal' ? undefined : this.#take(call);
    if (fault === undefined) return undefined;
    if (fault.when !== 'after') return this.#apply(call, fault).then(() => undefined);
    return {
      end: (_call, failure) => (failure === undefined ? this.#apply(call, fault) : undefined),
    };
  }

  async #apply(call: ServerCall, fault: FaultOptions): Promise<void> {
    if (fault.delayMs !== undefined)
      await delay(fault.delayMs, undefined, { signal: call.context.signal }).catch(() => {
        throw call.context.signal.reason;
      });
    if (fault.cut) {
      this.#connections.get(call.peer)?.destroy();
      throw new GitalyError('UNAVAILABLE', 'injected fault: connection cut');
    }
    if (fault.refuse !== undefined) throw refusalOf(fault.refuse);
  }

  #take({ method }: ServerCall): FaultOptions | undefined {
    for (const entry of this.#entries) {
      const isMeant = [EVERY_METHOD, method.name, method.path].includes(entry.method);
      if (!isMeant || entry.hits >= (entry.options.times ?? Number.POSITIVE_INFINITY)) continue;
      entry.hits++;
      return entry.options;
    }
    return undefined;
  }
}

function refusalOf(refuse: NonNullable<FaultOptions['refuse']>): GitalyError {
  return typeof refuse === 'string'
    ? new GitalyError(refuse, 'injected fault')
    : new GitalyError(refuse.code, refuse.message);
}

function checkMethod(method: string): void {
  const names = gitalyServices.flatMap((service) =>
    service.methods.flatMap(({ name }) => [name, `/${service.typeName}/${name}`]),
  );
  if (!names.includes(method))
    throw new TypeError(`there is no method "${method}"${didYouMean(method, names)}`);
}
