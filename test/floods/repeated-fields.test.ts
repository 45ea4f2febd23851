import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { create, type DescField, type DescMessage, ScalarType, toBinary } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { seededShare } from '#testkit/seeded-share';
import { methodInfo } from '#wire/method-info';
import { servedByGitaly } from '#wire/methods';
import { connectTo, REPOSITORY, report, Victim } from './victim.ts';

/** Near the limits on elements and on the size of a message. */
const MAX_ELEMENTS = 131_000;
const MAX_BYTES = 4_190_000;
/** Share of the lists that `make test-release` tries. */
const SHARE = 0.1;
/** CPU time for a response to another client: before, it was up to 5,400 ms. */
const ANSWER_LIMIT_MS = 1500;
const TIMEOUT_MS = 5000;

let victim: Victim;
let channel: GrpcChannel;
before(async () => {
  victim = await Victim.start();
  channel = connectGrpc((await connectTo(victim.gitaly.address)).pause());
});
after(async () => {
  channel.destroy();
  await victim[Symbol.asyncDispose]();
});

/** A message with a value in each of its fields, so that checks of the request are passed. */
function filled(type: DescMessage, depth = 0): ReturnType<typeof create> {
  const message = create(type);
  const target = reflect(type, message);
  for (const field of type.fields) {
    if (field.fieldKind === 'message' && depth < 3)
      target.set(field, reflect(field.message, messageOf(field.message, depth + 1)));
    else if (field.fieldKind === 'scalar') target.set(field, scalarOf(field, field.scalar));
  }
  return message;
}

function messageOf(type: DescMessage, depth: number): ReturnType<typeof create> {
  if (type.typeName === 'gitaly.Repository') return create(type, REPOSITORY);
  return filled(type, depth);
}

function scalarOf({ name }: DescField, type: ScalarType): unknown {
  const text = /(?:o?id|sha|commit)s?$/.test(name)
    ? victim.commit
    : /ref|branch/.test(name)
      ? 'refs/heads/main'
      : 'main';
  switch (type) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      return Buffer.from(text);
    case ScalarType.BOOL:
      return false;
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return 1n;
    default:
      return 1;
  }
}

/** Requests with as many elements as there may be, for each list of a method's request. */
function longRequests(input: DescMessage): { readonly field: string; readonly bytes: Uint8Array }[] {
  const start = toBinary(input, filled(input));
  return input.fields.flatMap((field) => {
    if (field.fieldKind !== 'list' || field.listKind === 'enum') return [];
    const value =
      field.listKind === 'message'
        ? toBinary(field.message, messageOf(field.message, 1))
        : Buffer.from(String(scalarOf(field, field.scalar)));
    const element = Buffer.concat([Buffer.of(field.number * 8 + 2, value.length), value]);
    const count = Math.min(MAX_ELEMENTS, Math.floor((MAX_BYTES - start.length) / element.length));
    return [
      { field: field.name, bytes: Buffer.concat([start, Buffer.alloc(count * element.length, element)]) },
    ];
  });
}

const LISTS = servedByGitaly
  .flatMap(({ methods }) => methods.map(methodInfo))
  .flatMap((method) =>
    method.input.fields
      .filter(({ fieldKind }) => fieldKind === 'list')
      .map(({ name: field }) => ({ ...method, field })),
  );

for (const { path, kind, input, field } of seededShare(LISTS, SHARE)) {
  const method = path.slice('/gitaly.'.length);
  test(`${method} with a very long list of ${field} delays nobody else`, async (context) => {
    const request = longRequests(input).find((each) => each.field === field);
    if (request === undefined) return;
    let outcome = 'OK';

    const damage = await victim.flood(async () => {
      const call = channel.invokeRaw({ path, kind }, [request.bytes], { timeoutMs: TIMEOUT_MS });
      try {
        for await (const _ of call);
      } catch (error) {
        outcome = String(error).slice(0, 120);
      }
    });

    report(context, `${field}: ${outcome}`, damage);
    assert.doesNotMatch(outcome, /call stack/);
    assert.ok(
      damage.slowestMs < ANSWER_LIMIT_MS,
      `an answer took ${Math.round(damage.slowestMs)} ms of CPU time`,
    );
  });
}
