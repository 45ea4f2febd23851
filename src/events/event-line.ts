import { JsonFields } from '#base/json-fields';
import { formatCheckedLine, parseCheckedLine } from './checked-line.ts';
import type { RepositoryEvent } from './event.ts';

const KINDS = ['reference', 'created', 'removed', 'renamed', 'resync'] as const;

/** Returns the line of an event in a segment: a checksum, and JSON. */
export function formatEventLine(event: RepositoryEvent): string {
  return formatCheckedLine(event);
}

/** Returns the event of a line without its line feed; `undefined` for one that was not completed. */
export function parseEventLine(line: Buffer): RepositoryEvent | undefined {
  const json = parseCheckedLine(line);
  const fields = json === undefined ? undefined : JsonFields.parse(json);
  const kind = KINDS.find((known) => known === fields?.text('kind'));
  const [sequence, timeMs] = [fields?.number('sequence'), fields?.number('timeMs')];
  if (fields === undefined || kind === undefined || sequence === undefined || timeMs === undefined)
    return undefined;
  const [reference, oldValue] = [fields.text('reference'), fields.text('oldValue')];
  const [newValue, previousPath] = [fields.text('newValue'), fields.text('previousPath')];
  return {
    sequence,
    kind,
    timeMs,
    relativePath: fields.text('relativePath') ?? '',
    ...(reference !== undefined && { reference }),
    ...(oldValue !== undefined && { oldValue }),
    ...(newValue !== undefined && { newValue }),
    ...(previousPath !== undefined && { previousPath }),
  };
}
