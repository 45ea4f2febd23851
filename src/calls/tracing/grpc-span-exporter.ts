import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { isError } from '#base/is-error';
import type { TracingSettings } from '#platform/tracing/connection-string';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';

const EXPORT = {
  path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  kind: 'unary',
} as const;
const EXPORT_LIMIT_MS = 5000;

type Callback = Parameters<SpanExporter['export']>[1];

/**
 * Sends spans by OTLP over gRPC, on this project's own gRPC transport: that of the SDK brings a
 * second one along. A batch that cannot be sent is lost, as with the SDK's exporters.
 */
export class GrpcSpanExporter implements SpanExporter {
  readonly #settings: TracingSettings;
  #channel: Promise<GrpcChannel> | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(settings: TracingSettings) {
    this.#settings = settings;
  }

  export(spans: ReadableSpan[], callback: Callback): void {
    this.#last = this.#send(spans).then(
      () => callback({ code: 0 }),
      (error: unknown) => callback({ code: 1, error: isError(error) ? error : new Error(String(error)) }),
    );
  }

  forceFlush(): Promise<void> {
    return this.#last;
  }

  async shutdown(): Promise<void> {
    await this.#last;
    const channel = await this.#channel?.catch(() => undefined);
    channel?.destroy();
  }

  async #send(spans: ReadableSpan[]): Promise<void> {
    const message = ProtobufTraceSerializer.serializeRequest(spans);
    if (message === undefined) return;
    const signal = AbortSignal.timeout(EXPORT_LIMIT_MS);
    const channel = await this.#open(signal);
    const metadata = Object.fromEntries(
      Object.entries(this.#settings.headers).map(([name, value]) => [name.toLowerCase(), value]),
    );
    for await (const _ of channel.invokeRaw(EXPORT, [message], { signal, metadata }));
  }

  async #open(signal: AbortSignal): Promise<GrpcChannel> {
    const open = await this.#channel?.catch(() => undefined);
    if (open?.state === 'ready') return open;
    this.#channel = connect(this.#settings, signal);
    return await this.#channel;
  }
}

async function connect({ endpoint, isInsecure }: TracingSettings, signal: AbortSignal): Promise<GrpcChannel> {
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(endpoint) ?? [];
  const to = { host, port: Number(port) };
  const socket: Socket = isInsecure
    ? connectTcp(to)
    : connectTls({ ...to, servername: host, ALPNProtocols: ['h2'] });
  try {
    await once(socket, isInsecure ? 'connect' : 'secureConnect', { signal });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  socket.unref(); // it does not keep a stopped server alive
  return connectGrpc(socket, { authority: endpoint, isSecure: !isInsecure });
}
