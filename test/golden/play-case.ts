import { type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf';
import { StatusSchema } from '#wire/gen/google/rpc/status_pb';
import { methodByPath } from '#wire/methods';
import type { RawClient, RawOutcome } from './call-by-grpc-js.ts';
import { type Difference, differences } from './compare.ts';
import { derive, joined, withoutAgent } from './derived.ts';
import { deriveContent } from './derived-content.ts';
import type { Playground } from './playground.ts';
import type { Json, JsonObject, RecordedCase } from './recorded-case.ts';
import { detailFromAny, messageFromRecording, recordingFromMessage } from './recording-json.ts';

/** Replays one case; returns the differences between response and recording. */
export async function playCase(
  recorded: RecordedCase,
  playground: Playground,
  client: RawClient,
): Promise<Difference[]> {
  await playground.prepare(recorded);
  const outcome = await call(recorded, playground, client);
  const [after = [], ...replicas] = playground.runAfter(recorded);
  const calls = playground.apiCalls();
  const httpCalls = playground.httpCalls();

  const expected: JsonObject = { status: statusOf(recorded), ...answerExpected(recorded) };
  const actual: JsonObject = {
    status: statusOfOutcome(recorded, outcome),
    ...answerActual(recorded, outcome),
  };
  if (recorded.after !== undefined)
    [expected.after, actual.after] = [
      recorded.after.map(({ run, stdout }) => ({ stdout: comparable(run, stdout) })),
      recorded.after.map(({ run }, index) => ({ stdout: comparable(run, String(after[index]?.stdout)) })),
    ];
  if (recorded.after !== undefined && replicas.length > 0)
    [expected.replicas, actual.replicas] = [
      replicas.map(() => after.map((output) => playground.withPlaceholders(output))),
      replicas,
    ];
  if (recorded.api_calls !== undefined)
    [expected.api_calls, actual.api_calls] = [[...recorded.api_calls], calls];
  if (recorded.http_calls !== undefined)
    [expected.http_calls, actual.http_calls] = [[...recorded.http_calls], httpCalls];

  return differences(expected, playground.withPlaceholders(actual), {
    ...(recorded.ignore && { ignore: recorded.ignore }),
    ...(recorded.unordered && { unordered: recorded.unordered }),
  });
}

/** Matches scripts in which `find` lists files in the order of the file system. */
const LISTS_UNSORTED = /\bfind [^|;\n]*(;|\n|$)/;

/** Returns the output of an `after` command without what depends on the machine. */
function comparable(run: string, stdout: string): string {
  const listing = withoutMovedAway(stdout);
  return LISTS_UNSORTED.test(run) ? listing.split('\n').sort().join('\n') : listing;
}

/**
 * Removes the names of directories that a replication has moved away: those of earlier cases were
 * still there when the cases were recorded.
 */
function withoutMovedAway(listing: string): string {
  return listing.replace(/^\w+-repositories\.old\..*\n/gm, '');
}

function call(recorded: RecordedCase, playground: Playground, client: RawClient): Promise<RawOutcome> {
  const path = pathOf(recorded);
  const method = methodByPath(path);
  const requests = recorded.requests.map((request) => {
    if (recorded.raw || method === undefined) return Buffer.from(String(request), 'base64');
    return Buffer.from(
      toBinary(method.input, messageFromRecording(method.input, playground.withoutPlaceholders(request))),
    );
  });
  const metadata = Object.fromEntries(
    Object.entries(recorded.metadata ?? {}).map(([key, value]) => [key, playground.metadataValue(value)]),
  );
  return client.call({ path, requests, requestStream: true, responseStream: true, metadata });
}

function pathOf(recorded: RecordedCase): string {
  return recorded.raw ? `/${recorded.rpc}` : `/gitaly.${recorded.rpc}`;
}

function statusOf({ status, ignore }: RecordedCase): JsonObject {
  const message = ignore?.includes('status.message') ? '' : status.message;
  return { code: status.code, message, details: [...(status.details ?? [])] };
}

function statusOfOutcome(recorded: RecordedCase, { code, message, details }: RawOutcome): JsonObject {
  return {
    code,
    message: recorded.ignore?.includes('status.message') ? '' : message,
    details: details === undefined ? [] : fromBinary(StatusSchema, details).details.map(detailFromAny),
  };
}

/** Returns the part of the recording that represents the responses. */
function answerExpected(recorded: RecordedCase): JsonObject {
  if (recorded.derived !== undefined) {
    const { text } = recorded.derived;
    return {
      derived:
        typeof text === 'string' ? { ...recorded.derived, text: withoutAgent(text) } : recorded.derived,
    };
  }
  return {
    responses: recorded.joined ? joinBytes(recorded, [...recorded.responses]) : [...recorded.responses],
  };
}

function answerActual(recorded: RecordedCase, outcome: RawOutcome): JsonObject {
  const schema = methodByPath(pathOf(recorded))?.output;
  if (recorded.raw || schema === undefined)
    return { responses: outcome.messages.map((message) => message.toString('base64')) };
  const responses: Json[] = outcome.messages.map((message) =>
    recordingFromMessage(schema, fromBinary(schema, message)),
  );
  if (recorded.derived !== undefined) {
    return {
      derived: deriveContent(recorded.derived, responses) ??
        derive(recorded.derived.as, responses) ?? {
          as: `no summary is made here as: ${recorded.derived.as}`,
        },
    };
  }
  return { responses: recorded.joined ? joinBytes(recorded, responses) : responses };
}

/**
 * Returns one message with the bytes fields joined over all messages; other fields keep their
 * order.
 */
function joinBytes(recorded: RecordedCase, responses: Json[]): Json[] {
  const schema: DescMessage | undefined = methodByPath(pathOf(recorded))?.output;
  const bytes =
    schema?.fields
      .filter((field) => field.fieldKind === 'scalar' && field.scalar === 12)
      .map(({ name }) => name) ?? []; // 12: bytes
  const out: JsonObject = {};
  for (const name of bytes) out[name] = joined(responses, name).toString('base64');
  const others = responses.map((response) =>
    Object.entries(response as JsonObject).filter(([key]) => !bytes.includes(key)),
  ); // messages are objects
  return [
    out,
    ...others.filter((entries) => entries.length > 0).map((entries) => Object.fromEntries(entries)),
  ];
}
