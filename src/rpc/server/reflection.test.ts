import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { callable } from '#rpc/common/grpc/grpc-method';
import { all, connectTo, only } from '#testkit/clients/in-process-rpc';
import { CommitService } from '#wire/gen/commit_pb';
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
} from '#wire/gen/grpc/reflection/v1/reflection_pb';
import { ServerReflection as ServerReflectionV1Alpha } from '#wire/gen/grpc/reflection/v1alpha/reflection_pb';
import { gitalyServices } from '#wire/methods';
import { serve } from './handler.ts';
import { reflectionServices } from './reflection.ts';

const commitService = serve(CommitService, {});
const services = [commitService, ...reflectionServices([commitService])];

/** One server for all questions: a connection takes longer than an answer. */
let server: ReturnType<typeof connectTo>;
before(() => {
  server = connectTo({ services });
});
after(() => server[Symbol.asyncDispose]());

async function ask(
  messageRequest: MessageInitShape<typeof ServerReflectionRequestSchema>['messageRequest'] & object,
) {
  const method = callable(ServerReflection.method.serverReflectionInfo);
  return (await only(server.channel.invoke(method, [{ host: 'h', messageRequest }]))).messageResponse;
}

async function files(messageRequest: Parameters<typeof ask>[0]): Promise<FileDescriptorProto[]> {
  const response = await ask(messageRequest);
  assert.equal(response.case, 'fileDescriptorResponse');
  // the assertion above
  const { fileDescriptorProto } = response.value as { fileDescriptorProto: Uint8Array[] };
  return fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

test('the served services are listed, including reflection itself', async () => {
  const response = await ask({ case: 'listServices', value: '' });

  assert.deepEqual(
    response.case === 'listServicesResponse' && response.value.service.map(({ name }) => name),
    [
      'gitaly.CommitService',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ],
  );
});

test('the symbols of all 23 services and their methods resolve, with all imports', async () => {
  assert.equal(gitalyServices.length, 23);
  for (const service of gitalyServices) {
    const symbols = service.methods.flatMap(({ name, input }) => [
      `${service.typeName}.${name}`,
      input.typeName,
    ]);
    for (const symbol of [service.typeName, ...symbols]) {
      const found = await files({ case: 'fileContainingSymbol', value: symbol });

      const names = new Set(found.map((file) => file.name));
      for (const dependency of found.flatMap((file) => file.dependency))
        assert.ok(names.has(dependency), dependency);
    }
  }
});

test('fields and options are symbols too', async () => {
  for (const [symbol, name] of [
    ['gitaly.FindCommitRequest.revision', 'commit.proto'],
    ['gitaly.op_type', 'lint.proto'],
    ['gitaly.GitCommit', 'shared.proto'],
  ] as const) {
    assert.equal((await files({ case: 'fileContainingSymbol', value: symbol }))[0]?.name, name);
  }
});

test('a file is found by its name', async () => {
  assert.equal((await files({ case: 'fileByFilename', value: 'blob.proto' }))[0]?.name, 'blob.proto');
});

test('extensions are found by type and number', async () => {
  const [file] = await files({
    case: 'fileContainingExtension',
    value: { containingType: 'google.protobuf.MethodOptions', extensionNumber: 82303 },
  });
  const numbers = await ask({ case: 'allExtensionNumbersOfType', value: 'google.protobuf.MethodOptions' });

  assert.equal(file?.name, 'lint.proto');
  assert.ok(numbers.case === 'allExtensionNumbersResponse' && numbers.value.extensionNumber.includes(82303));
});

test('an unknown name is answered with an error, and the stream continues', async () => {
  const method = callable(ServerReflectionV1Alpha.method.serverReflectionInfo);
  const questions = [
    { case: 'fileContainingSymbol', value: 'no.Such' },
    { case: 'fileByFilename', value: 'no.proto' },
    { case: 'fileContainingExtension', value: { containingType: 'no.Such', extensionNumber: 1 } },
    { case: 'allExtensionNumbersOfType', value: 'no.Such' },
  ] as const;

  const responses = await all(
    server.channel.invoke(
      method,
      questions.map((messageRequest) => ({ messageRequest })),
    ),
  );

  for (const { messageResponse } of responses) {
    assert.deepEqual(
      messageResponse.case === 'errorResponse' && [
        messageResponse.value.errorCode,
        messageResponse.value.errorMessage,
      ],
      [5, 'proto: not found'],
    );
  }
  assert.equal(responses.length, questions.length);
});

test('a file is sent once per stream, unless it is requested by name', async () => {
  const method = callable(ServerReflection.method.serverReflectionInfo);
  const question = { messageRequest: { case: 'fileByFilename', value: 'blob.proto' } } as const;

  const sizes = (await all(server.channel.invoke(method, [question, question]))).map(
    ({ messageResponse }) =>
      messageResponse.case === 'fileDescriptorResponse' && messageResponse.value.fileDescriptorProto.length,
  );

  assert.ok(Number(sizes[0]) > 1);
  assert.equal(sizes[1], 1);
});

test('a request without content ends the stream', async () => {
  await assert.rejects(
    all(server.channel.invoke(callable(ServerReflection.method.serverReflectionInfo), [{}])),
    {
      code: 'INVALID_ARGUMENT',
    },
  );
});
