import { type DescExtension, type DescFile, type Message, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '#base/gitaly-error';
import { statusNumber } from '#rpc/common/status-code';
import {
  type ExtensionRequest,
  ServerReflection as ReflectionV1,
  type ServerReflectionRequest,
} from '#wire/gen/grpc/reflection/v1/reflection_pb';
import { ServerReflection as ReflectionV1Alpha } from '#wire/gen/grpc/reflection/v1alpha/reflection_pb';
import { registry } from '#wire/registry';
import { type ServedService, serve } from './handler.ts';

type Question = ServerReflectionRequest['messageRequest'];
type Answer =
  | { case: 'fileDescriptorResponse'; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: 'allExtensionNumbersResponse'; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: 'listServicesResponse'; value: { service: { name: string }[] } }
  | { case: 'errorResponse'; value: { errorCode: number; errorMessage: string } };

/**
 * Returns server reflection v1 and v1alpha (the same under two names). It lists the given services
 * and itself, and resolves the symbols of every file on the wire. Errors are responses with the
 * text of grpc-go.
 */
export function reflectionServices(served: readonly ServedService[]): ServedService[] {
  const names = [
    ...served.map(({ service }) => service.typeName),
    ReflectionV1.typeName,
    ReflectionV1Alpha.typeName,
  ].sort();

  async function* answerAll<R extends Message & { host: string; messageRequest: unknown }>(
    requests: AsyncIterable<R>,
  ) {
    const sent = new Set<DescFile>();
    for await (const request of requests) {
      // Both versions have the same fields; the v1 type is used for both.
      const question = request.messageRequest as Question;
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(question, names, sent),
      };
    }
  }

  return [
    serve(ReflectionV1, { serverReflectionInfo: (requests) => answerAll(requests) }),
    serve(ReflectionV1Alpha, { serverReflectionInfo: (requests) => answerAll(requests) }),
  ];
}

function answer(question: Question, names: readonly string[], sent: Set<DescFile>): Answer {
  switch (question.case) {
    case 'listServices':
      return { case: 'listServicesResponse', value: { service: names.map((name) => ({ name })) } };
    case 'fileByFilename':
      return filesAnswer(index().files.get(question.value), sent);
    case 'fileContainingSymbol':
      return filesAnswer(index().symbols.get(question.value), sent);
    case 'fileContainingExtension':
      return filesAnswer(extensionFile(question.value), sent);
    case 'allExtensionNumbersOfType':
      return extensionsAnswer(question.value);
    case undefined:
      throw invalidArgument('invalid MessageRequest: <nil>');
  }
}

/** Returns the file and those of its imports that this stream has not sent yet. */
function filesAnswer(file: DescFile | undefined, sent: Set<DescFile>): Answer {
  if (file === undefined) return notFound();
  const files = new Set([file]);
  for (const one of files)
    for (const imported of one.dependencies) if (!sent.has(imported)) files.add(imported);
  for (const one of files) sent.add(one);
  const fileDescriptorProto = Array.from(files, (one) => toBinary(FileDescriptorProtoSchema, one.proto));
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function extensionFile({ containingType, extensionNumber }: ExtensionRequest): DescFile | undefined {
  const extendee = registry.getMessage(containingType);
  return extendee && registry.getExtensionFor(extendee, extensionNumber)?.file;
}

function extensionsAnswer(typeName: string): Answer {
  const extensionNumber = index()
    .extensions.filter((extension) => extension.extendee.typeName === typeName)
    .map((extension) => extension.number)
    .sort((a, b) => a - b);
  if (extensionNumber.length === 0 && registry.getMessage(typeName) === undefined) return notFound();
  return { case: 'allExtensionNumbersResponse', value: { baseTypeName: typeName, extensionNumber } };
}

function notFound(): Answer {
  return {
    case: 'errorResponse',
    value: { errorCode: statusNumber('NOT_FOUND'), errorMessage: 'proto: not found' },
  };
}

interface SymbolIndex {
  /** Files by path, as in import statements. */
  readonly files: ReadonlyMap<string, DescFile>;
  /**
   * Files by the full names of everything they declare: types, fields, oneofs, enum values,
   * services, methods, extensions.
   */
  readonly symbols: ReadonlyMap<string, DescFile>;
  readonly extensions: readonly DescExtension[];
}

let builtIndex: SymbolIndex | undefined;

/** Builds the index at the first request, because most servers never receive one. */
function index(): SymbolIndex {
  builtIndex ??= buildIndex();
  return builtIndex;
}

function buildIndex(): SymbolIndex {
  const files = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const extensions: DescExtension[] = [];
  for (const type of registry) {
    const { file } = type;
    files.set(file.proto.name, file);
    symbols.set(type.typeName, file);
    switch (type.kind) {
      case 'extension':
        extensions.push(type);
        break;
      case 'message':
        for (const { name } of [...type.fields, ...type.oneofs])
          symbols.set(`${type.typeName}.${name}`, file);
        break;
      case 'enum': {
        // values are siblings of their enum
        const scope = type.typeName.slice(0, type.typeName.lastIndexOf('.') + 1);
        for (const { name } of type.values) symbols.set(scope + name, file);
        break;
      }
      case 'service':
        for (const { name } of type.methods) symbols.set(`${type.typeName}.${name}`, file);
        break;
    }
  }
  return { files, symbols, extensions };
}
