import type { MessageInitShape } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import { fieldNumbers } from '#wire/fast/field-numbers';
import type { ReverseWriter } from '#wire/fast/reverse-writer';
import {
  CommitAuthorSchema,
  CommitStatInfoSchema,
  CommitTrailerSchema,
  GitCommitSchema,
  TagSchema,
} from '#wire/gen/shared_pb';
import type { CommitMessage } from './commit.ts';
import type { TagMessage } from './tag.ts';

const COMMIT = fieldNumbers(GitCommitSchema, {
  id: 'text',
  subject: 'bytes',
  body: 'bytes',
  author: 'message',
  committer: 'message',
  parentIds: 'text',
  bodySize: 'number',
  signatureType: 'number',
  treeId: 'text',
  trailers: 'message',
  shortStats: 'message',
  referencedBy: 'bytes',
  encoding: 'text',
});
const STATS = fieldNumbers(CommitStatInfoSchema, {
  additions: 'number',
  deletions: 'number',
  changedFiles: 'number',
});
const TRAILER = fieldNumbers(CommitTrailerSchema, { key: 'bytes', value: 'bytes' });
const PERSON = fieldNumbers(CommitAuthorSchema, {
  name: 'bytes',
  email: 'bytes',
  date: 'message',
  timezone: 'bytes',
});
const { seconds: SECONDS } = fieldNumbers(TimestampSchema, { seconds: 'number' });
const TAG = fieldNumbers(TagSchema, {
  name: 'bytes',
  id: 'text',
  targetCommit: 'message',
  message: 'bytes',
  messageSize: 'number',
  tagger: 'message',
  signatureType: 'number',
});

/** Writes the fields of a `GitCommit`. For lists; a test compares it with the general encoder. */
export function encodeCommit(writer: ReverseWriter, commit: CommitMessage): void {
  writer.text(COMMIT.encoding, commit.encoding);
  for (const name of commit.referencedBy?.toReversed() ?? []) writer.bytes(COMMIT.referencedBy, name);
  if (commit.shortStats) {
    const end = writer.length;
    writer.number(STATS.changedFiles, commit.shortStats.changedFiles);
    writer.number(STATS.deletions, commit.shortStats.deletions);
    writer.number(STATS.additions, commit.shortStats.additions);
    writer.message(COMMIT.shortStats, end);
  }
  for (const { key, value } of commit.trailers?.toReversed() ?? []) {
    const end = writer.length;
    writer.bytes(TRAILER.value, value);
    writer.bytes(TRAILER.key, key);
    writer.message(COMMIT.trailers, end);
  }
  writer.text(COMMIT.treeId, commit.treeId);
  writer.number(COMMIT.signatureType, commit.signatureType);
  writer.number(COMMIT.bodySize, commit.bodySize);
  writer.texts(COMMIT.parentIds, commit.parentIds ?? []);
  writePerson(writer, COMMIT.committer, commit.committer);
  writePerson(writer, COMMIT.author, commit.author);
  writer.bytes(COMMIT.body, commit.body);
  writer.bytes(COMMIT.subject, commit.subject);
  writer.text(COMMIT.id, commit.id);
}

/** Writes a field that is a `CommitAuthor`, or has the same fields. */
export function writePerson(
  writer: ReverseWriter,
  field: number,
  person: MessageInitShape<typeof CommitAuthorSchema> | undefined,
): void {
  if (person === undefined) return;
  const end = writer.length;
  writer.bytes(PERSON.timezone, person.timezone);
  if (person.date) {
    const endOfDate = writer.length;
    writer.number(SECONDS, person.date.seconds);
    writer.message(PERSON.date, endOfDate);
  }
  writer.bytes(PERSON.email, person.email);
  writer.bytes(PERSON.name, person.name);
  writer.message(field, end);
}

export function encodeTag(writer: ReverseWriter, tag: TagMessage): void {
  writer.number(TAG.signatureType, tag.signatureType);
  writePerson(writer, TAG.tagger, tag.tagger);
  writer.number(TAG.messageSize, tag.messageSize);
  writer.bytes(TAG.message, tag.message);
  if (tag.targetCommit) {
    const end = writer.length;
    encodeCommit(writer, tag.targetCommit);
    writer.message(TAG.targetCommit, end);
  }
  writer.text(TAG.id, tag.id);
  writer.bytes(TAG.name, tag.name);
}
