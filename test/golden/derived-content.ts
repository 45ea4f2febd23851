import { isUtf8 } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { joined } from './derived.ts';
import { readPaxComment, readTar } from './read-tar.ts';
import type { Json, JsonObject } from './recorded-case.ts';

/**
 * Computes the summaries of RPCs that stream the content of a repository, as `derive` does.
 *
 * @param recorded the recorded summary; only some of those of archives have a comment.
 */
export function deriveContent(recorded: JsonObject, responses: readonly Json[]): JsonObject | undefined {
  const as = String(recorded.as);
  const data = (): Buffer => joined(responses, 'data');
  const archive = (tar: Buffer): JsonObject => ({
    as,
    entries: readTar(tar),
    ...('pax_comment' in recorded && { pax_comment: readPaxComment(tar) }),
  });
  switch (as) {
    case 'bytes per message and sha1 of all':
      return { as, sizes: responses.map((each) => joined([each], 'data').length), sha1: sha1(data()) };
    case 'match_data bytes and end_of_match of each message':
      return {
        as,
        messages: responses.map((each) => [
          joined([each], 'match_data').length,
          // Responses are objects in the recordings' form.
          (each as JsonObject).end_of_match === true,
        ]),
        sha1: sha1(joined(responses, 'match_data')),
      };
    case 'ref headers seen in the stream':
      return { as, headers: exportHeaders(data()) };
    case 'concatenated data read as tar':
      return 'pax_comment' in recorded ? archive(data()) : undefined;
    case 'concatenated data bunzipped, read as tar':
      return {
        ...archive(execFileSync('bzip2', ['-dc'], { input: data() })),
        magic: data().toString('latin1', 0, 4),
      };
    case 'concatenated data read as zip':
      return { as, entries: readZip(data()) };
    case 'no data':
      return { as, messages: responses.length };
    default:
      return undefined;
  }
}

function exportHeaders(stream: Buffer): string[] {
  const headers = stream.toString('latin1').match(/^(?:(?:commit|reset) refs\/|tag ).*$/gm) ?? [];
  return [...new Set(headers)].sort();
}

const END_OF_DIRECTORY = Buffer.from('PK\x05\x06');

/** Returns the entries of the central directory of a zip archive, in its order. */
function readZip(zip: Buffer): Json[] {
  const end = zip.lastIndexOf(END_OF_DIRECTORY);
  const entries: Json[] = [];
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const method = zip.readUInt16LE(at + 10);
    const [packed, size] = [zip.readUInt32LE(at + 20), zip.readUInt32LE(at + 24)];
    const lengths = [28, 30, 32].map((field) => zip.readUInt16LE(at + field));
    const [nameLength = 0, extraLength = 0, commentLength = 0] = lengths;
    const local = zip.readUInt32LE(at + 42);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const content = zip.subarray(start, start + packed);
    entries.push({
      name: zipName(zip.subarray(at + 46, at + 46 + nameLength)),
      mode: `0o${(zip.readUInt32LE(at + 38) >>> 16).toString(8)}`,
      size,
      sha1: sha1(method === 0 ? content : inflateRawSync(content)),
    });
    at += 46 + nameLength + extraLength + commentLength;
  }
  return entries;
}

/** Names that are not UTF-8 were recorded as code page 437; only one of its characters occurs. */
function zipName(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString() : bytes.toString('latin1').replaceAll('\xff', '\u00a0');
}

function sha1(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex');
}
