import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ReverseWriter } from '#wire/fast/reverse-writer';
import type { CommitAuthorSchema } from '#wire/gen/shared_pb';
import type { CommitMessage } from './commit.ts';
import type { TagMessage } from './tag.ts';

/** Writes the fields of a `GitCommit`. For lists; a test compares it with the general encoder. */
export function writeCommit(writer: ReverseWriter, commit: CommitMessage): void {
  writer.text(13, commit.encoding);
  for (const name of commit.referencedBy?.toReversed() ?? []) writer.bytes(12, name);
  if (commit.shortStats) {
    const end = writer.length;
    writer.number(3, commit.shortStats.changedFiles);
    writer.number(2, commit.shortStats.deletions);
    writer.number(1, commit.shortStats.additions);
    writer.message(11, end);
  }
  for (const { key, value } of commit.trailers?.toReversed() ?? []) {
    const end = writer.length;
    writer.bytes(2, value);
    writer.bytes(1, key);
    writer.message(10, end);
  }
  writer.text(9, commit.treeId);
  writer.number(8, commit.signatureType);
  writer.number(7, commit.bodySize);
  for (const id of commit.parentIds?.toReversed() ?? []) writer.text(6, id);
  writePerson(writer, 5, commit.committer);
  writePerson(writer, 4, commit.author);
  writer.bytes(3, commit.body);
  writer.bytes(2, commit.subject);
  writer.text(1, commit.id);
}

/** Writes a field that is a `CommitAuthor`, or has the same fields. */
export function writePerson(
  writer: ReverseWriter,
  field: number,
  person: MessageInitShape<typeof CommitAuthorSchema> | undefined,
): void {
  if (person === undefined) return;
  const end = writer.length;
  writer.bytes(4, person.timezone);
  if (person.date) {
    const endOfDate = writer.length;
    writer.number(1, person.date.seconds);
    writer.message(3, endOfDate);
  }
  writer.bytes(2, person.email);
  writer.bytes(1, person.name);
  writer.message(field, end);
}

/** Writes the fields of a `Tag`. */
export function writeTag(writer: ReverseWriter, tag: TagMessage): void {
  writer.number(7, tag.signatureType);
  writePerson(writer, 6, tag.tagger);
  writer.number(5, tag.messageSize);
  writer.bytes(4, tag.message);
  if (tag.targetCommit) {
    const end = writer.length;
    writeCommit(writer, tag.targetCommit);
    writer.message(3, end);
  }
  writer.text(2, tag.id);
  writer.bytes(1, tag.name);
}
