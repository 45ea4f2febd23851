import { parseAs, where } from '#base/shape';
import { formatCheckedLine, parseCheckedLine } from './checked-line.ts';
import { type RepositoryEvent, repositoryEvent } from './event.ts';

/** The marker of compacted events is in no file. */
const writtenEvent = where(repositoryEvent, ({ kind }) => kind !== 'compacted');

/** Returns the line of an event in a segment: a checksum, and JSON. */
export function formatEventLine(event: RepositoryEvent): string {
  return formatCheckedLine(event);
}

/** Returns the event of a line without its line feed; `undefined` for one that was not completed. */
export function parseEventLine(line: Buffer): RepositoryEvent | undefined {
  const json = parseCheckedLine(line);
  return json === undefined ? undefined : parseAs(writtenEvent, json);
}
