import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { Server, ServerCredentials } from '@grpc/grpc-js';

/** A span as a collector receives it. Ids are hex digits; an empty parent is that of a root. */
export interface CollectedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly durationNs: bigint;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** 2 is an error. */
  readonly status: number;
}

export interface Collector extends AsyncDisposable {
  /** `host:port` */
  readonly address: string;
  readonly spans: readonly CollectedSpan[];
  /** Headers, or metadata, of each export. */
  readonly headers: readonly Readonly<Record<string, unknown>>[];
}

/** Starts a collector of OTLP over HTTP on loopback. */
export async function startHttpCollector(): Promise<Collector> {
  const [spans, headers]: [CollectedSpan[], Record<string, unknown>[]] = [[], []];
  const server = createServer(async (request, response) => {
    headers.push({ ...request.headers, path: request.url });
    spans.push(...readSpans(await buffer(request)));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // of a TCP listener
  return {
    address: `127.0.0.1:${port}`,
    spans,
    headers,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Starts a collector of OTLP over gRPC on loopback, of another implementation of gRPC. */
export async function startGrpcCollector(): Promise<Collector> {
  const [spans, headers]: [CollectedSpan[], Record<string, unknown>[]] = [[], []];
  const server = new Server();
  const codec = {
    requestSerialize: (value: Buffer) => value,
    requestDeserialize: (value: Buffer) => value,
    responseSerialize: (value: Buffer) => value,
    responseDeserialize: (value: Buffer) => value,
  };
  const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
  server.addService(
    { export: { path, requestStream: false, responseStream: false, ...codec } },
    {
      export: (
        call: { request: Buffer; metadata: { getMap(): Record<string, unknown> } },
        callback: (error: null, response: Buffer) => void,
      ) => {
        headers.push(call.metadata.getMap());
        spans.push(...readSpans(call.request));
        callback(null, Buffer.alloc(0));
      },
    },
  );
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
    error ? reject(error) : resolve(port),
  );
  return {
    address: `127.0.0.1:${await promise}`,
    spans,
    headers,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

type Field = (reader: BinaryReader) => void;

/** Reads a message: calls the function of each field; other fields are skipped. */
function readMessage(bytes: Uint8Array, fields: Readonly<Record<number, Field>>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const read = fields[number];
    if (read === undefined) reader.skip(type, number);
    else read(reader);
  }
}

/** Reads an ExportTraceServiceRequest of OTLP. */
function readSpans(request: Uint8Array): CollectedSpan[] {
  const spans: CollectedSpan[] = [];
  const inScope: Field = (reader) =>
    readMessage(reader.bytes(), { 2: (span) => void spans.push(readSpan(span.bytes())) });
  const inResource: Field = (reader) => readMessage(reader.bytes(), { 2: inScope });
  readMessage(request, { 1: inResource });
  return spans;
}

function readSpan(bytes: Uint8Array): CollectedSpan {
  const hex = (reader: BinaryReader): string => Buffer.from(reader.bytes()).toString('hex');
  let [name, traceId, spanId, parentId, status] = ['', '', '', '', 0];
  let [start, end] = [0n, 0n];
  const attributes: Record<string, string | number> = {};
  readMessage(bytes, {
    1: (reader) => {
      traceId = hex(reader);
    },
    2: (reader) => {
      spanId = hex(reader);
    },
    4: (reader) => {
      parentId = hex(reader);
    },
    5: (reader) => {
      name = reader.string();
    },
    7: (reader) => {
      start = BigInt(reader.fixed64());
    },
    8: (reader) => {
      end = BigInt(reader.fixed64());
    },
    9: (reader) => readAttribute(reader.bytes(), attributes),
    15: (reader) =>
      readMessage(reader.bytes(), {
        3: (code) => {
          status = code.int32();
        },
      }),
  });
  return { name, traceId, spanId, parentId, durationNs: end - start, attributes, status };
}

function readAttribute(bytes: Uint8Array, into: Record<string, string | number>): void {
  let [key, value]: [string, string | number] = ['', ''];
  readMessage(bytes, {
    1: (reader) => {
      key = reader.string();
    },
    2: (reader) =>
      readMessage(reader.bytes(), {
        1: (text) => {
          value = text.string();
        },
        3: (number) => {
          value = Number(number.int64());
        },
      }),
  });
  into[key] = value;
}
