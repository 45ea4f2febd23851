import type { AccessRecord, PushedReference } from './access-record.ts';

export type AccessLogFormat = 'json' | 'text';

/** Returns a line of the access log, with its newline. It contains no secret. */
export function accessLine(record: AccessRecord, format: AccessLogFormat): string {
  const fields = fieldsOf(record);
  return format === 'json' ? `${JSON.stringify(fields)}\n` : textLine(fields);
}

type Field = string | number | readonly PushedReferenceField[] | undefined;

/** A reference as in the line. */
interface PushedReferenceField {
  readonly name: string;
  readonly old: string;
  readonly new: string;
  readonly reason: string | undefined;
}

/** Returns the fields in their order; those that are undefined are left out. */
function fieldsOf(record: AccessRecord): Readonly<Record<string, Field>> {
  const { identity, references } = record;
  return {
    time: record.endedAt.toISOString(),
    transport: record.transport,
    operation: record.operation,
    outcome: record.outcome,
    reason: record.reason,
    user: identity?.username,
    credential: identity?.credential?.kind,
    credential_name: identity?.credential?.name || undefined,
    offered_key: record.offeredKey,
    change: record.change,
    address: record.remoteAddress,
    repository: record.repository,
    references: references.length === 0 ? undefined : references.map(referenceField),
    reference_count: references.length === 0 ? undefined : record.referenceCount,
    bytes_in: record.bytesIn,
    bytes_out: record.bytesOut,
    duration_ms: Math.round(record.durationMs),
  };
}

function referenceField({ name, newId, oldId, reason }: PushedReference): PushedReferenceField {
  return { name, old: oldId, new: newId, reason };
}

function textLine(fields: Readonly<Record<string, Field>>): string {
  const words: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const text = typeof value === 'object' ? value.map(referenceText).join(' ') : String(value);
    words.push(`${name}=${quoted(text)}`);
  }
  return `${words.join(' ')}\n`;
}

function referenceText(reference: PushedReferenceField): string {
  const change = `${reference.name}:${reference.old}..${reference.new}`;
  return reference.reason === undefined ? change : `${change} (${reference.reason})`;
}

/** Returns a value that is one word, or one in quotes: nobody writes a line into the log. */
function quoted(text: string): string {
  return /^[\w.:/@+,-]+$/.test(text) ? text : JSON.stringify(text);
}
