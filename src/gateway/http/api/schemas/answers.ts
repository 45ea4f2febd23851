import { isUtf8 } from 'node:buffer';
import { type Static, Type } from 'typebox';
import type { Commit, Signature } from '#client/repository/index';
import { objectId, oneOf } from './parts.ts';

const Person = Type.Object({
  name: Type.String(),
  email: Type.String(),
  date: Type.String({ format: 'date-time' }),
  timezone: Type.String({ description: 'As in git: +0200.' }),
});

export const CommitAnswer = Type.Object(
  {
    id: objectId('Id of the commit.'),
    parents: Type.Array(objectId('Id of a parent.')),
    tree: objectId('Id of the tree.'),
    subject: Type.String({ description: 'First line of the message.' }),
    message: Type.String({ description: 'The message, up to 10 KiB.' }),
    isMessageCut: Type.Boolean({ description: 'True for a message that is longer.' }),
    author: Person,
    committer: Person,
    signature: Type.Optional(oneOf(['PGP', 'SSH', 'X509'], 'Kind of the signature; it is not verified.')),
  },
  { title: 'Commit' },
);

export const NewCommitAnswer = Type.Object({ id: objectId('Id of the new commit.') }, { title: 'NewCommit' });

export function commitAnswer(commit: Commit): Static<typeof CommitAnswer> {
  const { author, committer, id, isMessageCut, message, parents, signatureType, subject, tree } = commit;
  return {
    ...{ id, parents: [...parents], tree, subject, message, isMessageCut },
    author: personAnswer(author),
    committer: personAnswer(committer),
    ...(signatureType !== undefined && { signature: signatureType }),
  };
}

function personAnswer({ date, email, name, timezone }: Signature): Static<typeof Person> {
  return { name, email, date: date.toISOString(), timezone };
}

/** A path in answers: bytes that are not UTF-8 are also given in base64. */
export const PathAnswer = {
  path: Type.String(),
  pathBase64: Type.Optional(Type.String({ description: 'The bytes of a path that is not UTF-8.' })),
};

export function pathAnswer(path: Buffer): { path: string; pathBase64?: string } {
  const decoded = path.toString();
  return isUtf8(path) ? { path: decoded } : { path: decoded, pathBase64: path.toString('base64') };
}
