import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { anyPack, anyUnpack, DurationSchema } from '@bufbuild/protobuf/wkt';
import { CustomHookErrorSchema, LimitErrorSchema } from '#wire/gen/errors_pb';
import { wireFiles } from './files.ts';
import { gitalyServices } from './methods.ts';
import { registry } from './registry.ts';

test('the registry knows every generated file that clients may meet', () => {
  const names = readdirSync(new URL('./gen/', import.meta.url), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('_pb.js'))
    .map((name) => name.slice(0, -'_pb.js'.length))
    .filter((name) => name !== 'gitalyts/votes/v1/votes');

  assert.ok(names.length > 30, `${names.length} files`);
  assert.deepEqual(wireFiles.map((file) => file.name).sort(), names.sort());
});

test('the registry resolves services, messages, enums, options and well-known types by name', () => {
  for (const service of gitalyServices) assert.equal(registry.getService(service.typeName), service);
  for (const name of [
    'gitaly.GetBlobResponse',
    'google.rpc.Status',
    'grpc.health.v1.HealthCheckRequest',
    'google.protobuf.Timestamp',
  ]) {
    assert.equal(registry.getMessage(name)?.typeName, name);
  }
  assert.equal(registry.getEnum('gitaly.ObjectType')?.typeName, 'gitaly.ObjectType');
  assert.equal(registry.getExtension('gitaly.op_type')?.number, 82303);
  assert.equal(registry.getExtension('gitaly_ts.since')?.number, 73151);
});

test('a detail packed into Any comes back as the same message', () => {
  const limit = create(LimitErrorSchema, {
    errorMessage: 'too many',
    retryAfter: create(DurationSchema, { seconds: 3n }),
  });
  const hook = create(CustomHookErrorSchema, { stderr: new TextEncoder().encode('no') });

  for (const [schema, detail] of [
    [LimitErrorSchema, limit] as const,
    [CustomHookErrorSchema, hook] as const,
  ]) {
    const packed = anyPack(schema, detail);

    assert.equal(packed.typeUrl, `type.googleapis.com/${schema.typeName}`);
    assert.deepEqual(anyUnpack(packed, registry), detail);
  }
});
