import { LoopSlice } from '#base/async/loop-turns';
import type { Commit } from '#client/repository/values';
import type { SignatureCheck } from '#gateway/http/pages/page-source';
import type { RepositoryVisit } from '../repository-visit.ts';

/** Results of checking signatures, by the id of the commit. */
export type SignatureChecks = ReadonlyMap<string, SignatureCheck>;

/** Checks the SSH signatures of commits with the keys of people; there are none without people. */
export async function checkSignatures(
  { access, calls, connection, repository: { message: repository } }: RepositoryVisit,
  commits: readonly Commit[],
): Promise<SignatureChecks> {
  const signed = commits.filter(({ signatureType }) => signatureType === 'SSH');
  const checks = new Map<string, SignatureCheck>();
  if (access.checkSignature === undefined || signed.length === 0) return checks;
  const commitIds = signed.map(({ id }) => id);
  const parts = new Map<string, { readonly signature: Uint8Array[]; readonly text: Uint8Array[] }>();
  let last = '';
  for await (const answer of connection.commit.getCommitSignatures({ repository, commitIds }, calls)) {
    last = answer.commitId || last;
    const part = parts.get(last) ?? { signature: [], text: [] };
    part.signature.push(answer.signature);
    part.text.push(answer.signedText);
    parts.set(last, part);
  }
  const slice = new LoopSlice();
  for (const [id, { signature, text }] of parts) {
    checks.set(
      id,
      await access.checkSignature({ signature: Buffer.concat(signature), text: Buffer.concat(text) }),
    );
    await slice.pause(calls.signal);
  }
  return checks;
}
