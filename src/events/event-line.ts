import { crc32 } from 'node:zlib';
import { JsonFields } from '#base/json-fields';
import type { RepositoryEvent } from './event.ts';

const CRC_DIGITS = 8;
const HEX = 16;
const KINDS = ['reference', 'created', 'removed', 'renamed', 'resync'] as const;

/** Returns the line of an event in a segment: a checksum, and JSON. */
export function formatEventLine(event: RepositoryEvent): string {
  const json = JSON.stringify(event);
  return `${checksum(json)} ${json}\n`;
}

/** Returns the event of a line without its line feed; `undefined` for one that was not completed. */
export function parseEventLine(line: Buffer): RepositoryEvent | undefined {
  const json = line.toString('utf8', CRC_DIGITS + 1);
  if (line.toString('latin1', 0, CRC_DIGITS) !== checksum(json)) return undefined;
  const fields = JsonFields.parse(json);
  const kind = KINDS.find((known) => known === fields?.text('kind'));
  const [sequence, timeMs] = [fields?.number('sequence'), fields?.number('timeMs')];
  if (fields === undefined || kind === undefined || sequence === undefined || timeMs === undefined)
    return undefined;
  return {
    sequence,
    kind,
    timeMs,
    relativePath: fields.text('relativePath') ?? '',
    ...optional(fields, 'reference'),
    ...optional(fields, 'oldValue'),
    ...optional(fields, 'newValue'),
    ...optional(fields, 'previousPath'),
  };
}

function optional<N extends string>(fields: JsonFields, name: N): { [K in N]?: string } {
  const text = fields.text(name);
  // An object with one field of a known name has this type.
  return (text === undefined ? {} : { [name]: text }) as { [K in N]?: string };
}

function checksum(json: string): string {
  return crc32(json).toString(HEX).padStart(CRC_DIGITS, '0');
}
