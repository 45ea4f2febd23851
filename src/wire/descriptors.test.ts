import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  type DescEnum,
  type DescExtension,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
  ScalarType,
} from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import * as lint from '#wire/gen/lint_pb';
import { since, until } from '#wire/gen/versions_pb';
import { gitalyFiles } from './files.ts';

interface VersionedFact {
  readonly in?: readonly string[];
}
interface TopFact extends VersionedFact {
  readonly file: string;
}
interface MethodFact extends VersionedFact {
  readonly request: string;
  readonly response: string;
  readonly op?: string;
}
interface ServiceFact extends TopFact {
  readonly options?: { readonly intercepted?: boolean };
  readonly methods: Readonly<Record<string, MethodFact>>;
}
interface FieldFact extends VersionedFact {
  readonly number: number;
  readonly type: string;
}
interface MessageFact extends TopFact {
  readonly fields: Readonly<Record<string, FieldFact>>;
  readonly reserved?: readonly (string | readonly [number, number])[];
}
interface EnumFact extends TopFact {
  readonly values: Readonly<Record<string, number | { readonly number: number }>>;
}
interface Facts {
  readonly services: Readonly<Record<string, ServiceFact>>;
  readonly messages: Readonly<Record<string, MessageFact>>;
  readonly enums: Readonly<Record<string, EnumFact>>;
  readonly extensions: Readonly<Record<string, { extendee: string; number: number; type: string }>>;
}

// fixtures/README.md describes the fixture's shape; a wrong shape fails the counts or the
// comparisons below.
const facts = JSON.parse(readFileSync(new URL('./fixtures/wire.json', import.meta.url), 'utf8')) as Facts;

const types = gitalyFiles
  .flatMap((file) => [...nestedTypes(file)])
  .filter((type) => type.typeName.startsWith('gitaly.'));
const services = types.filter((type): type is DescService => type.kind === 'service');
const messages = types.filter((type): type is DescMessage => type.kind === 'message');
const enums = types.filter((type): type is DescEnum => type.kind === 'enum');
const extensions = types.filter((type): type is DescExtension => type.kind === 'extension');

describe('the compiled .proto files', () => {
  test('have 23 services, 197 methods, 558 messages, 1451 fields, 44 enums and 8 options', () => {
    const methods = services.flatMap((service) => service.methods);
    const fields = messages.flatMap((message) => message.fields);

    const counts = [services, methods, messages, fields, enums, extensions].map((list) => list.length);

    assert.deepEqual(counts, [23, 197, 558, 1451, 44, 8]);
  });

  test('declare exactly the services, messages, enums and options of the facts', () => {
    assert.deepEqual(namesOf(services), Object.keys(facts.services).sort());
    assert.deepEqual(namesOf(messages), Object.keys(facts.messages).sort());
    assert.deepEqual(namesOf(enums), Object.keys(facts.enums).sort());
    assert.deepEqual(namesOf(extensions), Object.keys(facts.extensions).sort());
  });

  test('declare each in the file of the facts', () => {
    const expected = { ...facts.services, ...facts.messages, ...facts.enums };

    for (const type of [...services, ...messages, ...enums]) {
      assert.equal(`${type.file.name}.proto`, expected[type.typeName]?.file, type.typeName);
    }
  });

  test('agree about every method: types, streams, operation, scope, deprecation, releases', () => {
    for (const service of services) {
      const actual = Object.fromEntries(service.methods.map((method) => [method.name, methodOf(method)]));
      const fact = facts.services[service.typeName];
      const expected = Object.fromEntries(
        Object.entries(fact?.methods ?? {}).map(([name, method]) => [name, withReleases(method)]),
      );

      assert.deepEqual(actual, expected, service.typeName);
      assert.deepEqual(optionsOfService(service), fact?.options ?? {}, service.typeName);
    }
  });

  test('agree with the facts about every field: number, type, cardinality, oneof, deprecation, marks', () => {
    for (const message of messages) {
      const actual = Object.fromEntries(message.fields.map((field) => [field.name, fieldOf(field)]));
      const expected = Object.fromEntries(
        Object.entries(facts.messages[message.typeName]?.fields ?? {}).map(([name, field]) => [
          name,
          onOurWire(field),
        ]),
      );

      assert.deepEqual(actual, expected, message.typeName);
    }
  });

  test('reserve what the facts reserve, except where an older release still uses it', () => {
    for (const message of messages) {
      const fields = message.fields;
      const expected = (facts.messages[message.typeName]?.reserved ?? []).filter((entry) =>
        typeof entry === 'string'
          ? !fields.some((field) => field.name === entry)
          : !fields.some((field) => field.number >= entry[0] && field.number <= entry[1]),
      );

      assert.deepEqual(sortedJson(reservedOf(message)), sortedJson(expected), message.typeName);
    }
  });

  test('agree with the facts about every enum value', () => {
    for (const type of enums) {
      const actual = Object.fromEntries(type.values.map((value) => [value.name, value.number]));
      const expected = Object.fromEntries(
        Object.entries(facts.enums[type.typeName]?.values ?? {}).map(([name, value]) => [
          name,
          typeof value === 'number' ? value : value.number,
        ]),
      );

      assert.deepEqual(actual, expected, type.typeName);
    }
  });

  test('agree with the facts about every custom option', () => {
    for (const extension of extensions) {
      const actual = {
        extendee: extension.extendee.typeName,
        number: extension.number,
        type: shortTypeOf(extension),
      };

      assert.deepEqual(actual, facts.extensions[extension.typeName], extension.typeName);
    }
  });
});

function namesOf(list: readonly { typeName: string }[]): string[] {
  return list.map((type) => type.typeName).sort();
}

function sortedJson(list: readonly unknown[]): string[] {
  return list.map((entry) => JSON.stringify(entry)).sort();
}

function methodOf(method: DescMethod): Record<string, unknown> {
  const operation = hasOption(method, lint.op_type) ? getOption(method, lint.op_type) : undefined;
  const scope = operation && lint.OperationMsg_ScopeSchema.value[operation.scopeLevel].name;
  return withoutAbsent({
    request: method.input.typeName,
    response: method.output.typeName,
    requestStream: method.proto.clientStreaming || undefined,
    responseStream: method.proto.serverStreaming || undefined,
    op: operation && lint.OperationMsg_OperationSchema.value[operation.op].name,
    scope: scope === 'REPOSITORY' ? undefined : scope,
    deprecated: method.deprecated || undefined,
    intercepted: getOption(method, lint.intercepted_method) || undefined,
    since: hasOption(method, since) ? getOption(method, since) : undefined,
    until: hasOption(method, until) ? getOption(method, until) : undefined,
  });
}

/** Returns the fact with its list of releases written as the two equivalent options. */
function withReleases({ in: releases, ...fact }: MethodFact): Record<string, unknown> {
  if (releases === undefined) return fact;
  const [first, last] = [releases[0], releases.at(-1)];
  return withoutAbsent({
    ...fact,
    since: first === '15.0' ? undefined : first,
    until: last === '19.0' ? undefined : last,
  });
}

function optionsOfService(service: DescService): Record<string, unknown> {
  return withoutAbsent({ intercepted: getOption(service, lint.intercepted) || undefined });
}

function fieldOf(field: DescField): Record<string, unknown> {
  return withoutAbsent({
    number: field.number,
    type: typeOf(field),
    repeated: field.fieldKind === 'list' || undefined,
    oneof: field.oneof?.name,
    optional: field.proto.proto3Optional || undefined,
    deprecated: field.deprecated || undefined,
    storage: getOption(field, lint.storage) || undefined,
    repository: getOption(field, lint.repository) || undefined,
    target_repository: getOption(field, lint.target_repository) || undefined,
    additional_repository: getOption(field, lint.additional_repository) || undefined,
    partition_id: getOption(field, lint.partition_id) || undefined,
  });
}

function onOurWire({ in: _releases, ...fact }: FieldFact): Record<string, unknown> {
  return fact.type.startsWith('raftpb.') ? { ...fact, type: 'bytes' } : fact;
}

function typeOf(field: DescField | DescExtension): string {
  if (field.fieldKind === 'map')
    return `map<${ScalarType[field.mapKey].toLowerCase()},${valueTypeOf(field)}>`;
  return valueTypeOf(field);
}

function valueTypeOf(field: DescField | DescExtension): string {
  return (
    field.message?.typeName ??
    field.enum?.typeName ??
    ScalarType[field.scalar ?? 0]?.toLowerCase() ??
    'unknown'
  );
}

function shortTypeOf(extension: DescExtension): string {
  return typeOf(extension).replace('gitaly.', '');
}

function reservedOf(message: DescMessage): (string | [number, number])[] {
  // In descriptors the end of a range is exclusive.
  return [
    ...message.proto.reservedName,
    ...message.proto.reservedRange.map((range): [number, number] => [range.start, range.end - 1]),
  ];
}

function withoutAbsent(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
