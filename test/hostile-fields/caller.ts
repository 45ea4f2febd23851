import { mkdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { create, toBinary } from '@bufbuild/protobuf';
import { codeOf, messageOf } from '#base/gitaly-error';
import {
  type Connection,
  dialSidechannel,
  gitalyServers,
  type MetadataInit,
  SidechannelRegistry,
} from '#client/index';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { FLUSH } from '#testkit/repositories/push';
import type { MethodInfo } from '#wire/method-info';
import type { Plain } from './text-fields.ts';

/** One call with everything needed to repeat it. */
export interface HostileCall {
  readonly method: MethodInfo;
  /** For example `revision_range.rev2`; empty for the valid requests themselves. */
  readonly field: string;
  /** Position of the field's message in a stream of requests. */
  readonly index: number;
  readonly requests: readonly Plain[];
  /** The content of the field. */
  readonly value: Buffer;
  /** Set when the field is a string and the value is not UTF-8: the message has 0x7f there. */
  readonly isRaw: boolean;
  /** Of the target repository. */
  readonly relativePath: string;
  /** Set when the value is in the metadata instead of a field. */
  readonly metadata?: MetadataInit;
}

export interface Outcome {
  readonly code: string;
  readonly message: string;
  /** All responses, encoded, and what came over the sidechannel. */
  readonly bytes: Buffer;
  readonly tookMs: number;
}

interface Options {
  readonly timeoutMs: number;
  readonly metadata: MetadataInit;
}

/** A call that takes longer has found something, too. */
export const CALL_LIMIT_MS = 20_000;
/** Responses are kept up to this size, to be searched. */
const MAX_KEPT_BYTES = 4 << 20;
const MARK = 0x7f;

/** Makes calls with requests that no ordinary client would send. */
export class Caller implements AsyncDisposable {
  readonly #channel: GrpcChannel;
  readonly #multiplexed: Connection;
  readonly #registry: SidechannelRegistry;
  readonly #directory: string;
  /** Servers of the storages of other repositories: the same server. */
  readonly #servers: MetadataInit;
  #sockets = 0;

  private constructor(
    channel: GrpcChannel,
    multiplexed: Connection,
    registry: SidechannelRegistry,
    directory: string,
  ) {
    this.#servers = gitalyServers({ default: { address: multiplexed.address, token: '' } });
    this.#channel = channel;
    this.#multiplexed = multiplexed;
    this.#registry = registry;
    this.#directory = directory;
  }

  /** @param directory for the sockets of hooks. */
  static async connect(address: string, directory: string): Promise<Caller> {
    const registry = new SidechannelRegistry();
    const multiplexed = await dialSidechannel(address, registry);
    const channel = connectGrpc(connect(address.replace(/^unix:/, '')));
    return new Caller(channel, multiplexed, registry, directory);
  }

  /** Makes one call to its end. Never rejects. */
  async call(call: HostileCall, correlationId: string, timeoutMs = CALL_LIMIT_MS): Promise<Outcome> {
    const metadata = { 'x-gitlab-correlation-id': correlationId, ...this.#servers, ...call.metadata };
    const options = { timeoutMs, metadata };
    if (call.method.name === 'PackObjectsHookWithSidechannel')
      return await this.#withHookSocket(call, options);
    if (!call.method.name.endsWith('WithSidechannel')) return await this.#plain(call, options);
    const received: Buffer[] = [];
    const waiter = this.#registry.register(async (sidechannel) => {
      const done = buffer(sidechannel).then((bytes) => received.push(bytes));
      sidechannel.write(FLUSH);
      await sidechannel.closeWrite();
      await done;
    });
    return await outcomeOf(
      this.#multiplexed.invoke({
        method: call.method,
        requests: call.requests.map((request) => create(call.method.input, request)),
        options: { timeoutMs, metadata: { ...metadata, ...waiter.metadata } },
      }),
      (message) => toBinary(call.method.output, create(call.method.output, message as Plain)),
      received,
    ).finally(() => waiter.close().catch(() => {}));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel.destroy();
    await this.#multiplexed.close();
  }

  async #plain(call: HostileCall, options: Options): Promise<Outcome> {
    return await outcomeOf(
      this.#channel.invokeRaw(call.method, encodedRequests(call), options),
      (bytes) => bytes,
      [],
    );
  }

  /** The server connects to a socket that the caller, a hook, listens on. */
  async #withHookSocket(call: HostileCall, options: Options): Promise<Outcome> {
    const path = join(this.#directory, String(this.#sockets++), 'sidechannel');
    mkdirSync(dirname(path), { recursive: true });
    const received: Buffer[] = [];
    const done: Promise<unknown>[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket: Duplex) => {
      socket.on('error', () => {});
      done.push(
        buffer(socket).then(
          (bytes) => received.push(bytes),
          () => {},
        ),
      );
      socket.end('\n');
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      const metadata = { ...options.metadata, 'gitaly-sidechannel-socket': path };
      return await this.#plain(call, { ...options, metadata });
    } finally {
      server.close();
      rmSync(dirname(path), { recursive: true, force: true });
    }
  }
}

/** Returns the requests as they go over the wire. */
function encodedRequests({ method, requests, index, value, isRaw }: HostileCall): Buffer[] {
  return requests.map((request, at) => {
    const bytes = Buffer.from(toBinary(method.input, create(method.input, request)));
    if (!isRaw || at !== index) return bytes;
    const start = bytes.indexOf(placeholder(value));
    if (start !== -1) value.copy(bytes, start);
    return bytes;
  });
}

/** Returns what a message holds in place of a string that is not UTF-8, of the same length. */
export function placeholder(value: Uint8Array): string {
  return String.fromCharCode(MARK).repeat(value.length);
}

async function outcomeOf<T>(
  responses: AsyncIterable<T>,
  encode: (message: T) => Uint8Array,
  beside: Buffer[],
): Promise<Outcome> {
  const startedAt = performance.now();
  const kept: Uint8Array[] = [];
  let keptBytes = 0;
  let [code, message] = ['OK', ''];
  try {
    for await (const response of responses) {
      const bytes = encode(response);
      if (keptBytes < MAX_KEPT_BYTES) kept.push(bytes);
      keptBytes += bytes.length;
    }
  } catch (error) {
    [code, message] = [codeOf(error) ?? 'UNKNOWN', messageOf(error)];
  }
  const tookMs = performance.now() - startedAt;
  return { code, message, bytes: Buffer.concat([...kept, ...beside]), tookMs };
}
