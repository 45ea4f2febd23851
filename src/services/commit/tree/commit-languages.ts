import { createHash } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrapped } from '#base/gitaly-error';
import { countLanguages } from '#domain/languages/count-languages';
import { KeptLanguageStats } from '#domain/languages/kept-stats';
import { type CallDetector, LanguageDetector } from '#domain/languages/language-detector';
import { lookUpRevision } from '#domain/languages/look-up-revision';
import type { UnaryHandler } from '#rpc/server/handler';
import { requireRevision } from '#services/convert/request/revision';
import type { CommitLanguagesRequestSchema, CommitLanguagesResponseSchema } from '#wire/gen/commit_pb';
import type { CommitDependencies } from '../dependencies.ts';

type Response = MessageInitShape<typeof CommitLanguagesResponseSchema>;

/** Returns the languages of the files of a commit, the one with the largest share first. */
export function commitLanguages({
  storages,
}: CommitDependencies): UnaryHandler<
  typeof CommitLanguagesRequestSchema,
  typeof CommitLanguagesResponseSchema
> {
  const languages = new LanguageDetector();
  const kept = new KeptLanguageStats();
  return async (request, { signal }) => {
    const repository = storages.open(request.repository);
    const given = requireRevision(request.revision, { allowEmpty: true });

    const revision = given.length > 0 ? given : ((await repository.refs.defaultBranch({ signal })) ?? given);
    const commitId = await lookUpRevision(repository, revision, signal).catch(wrapped('looking up revision'));
    using detector = languages.forCall(repository.path);
    const bytes = await countLanguages(repository, commitId, { kept, detector, signal }).catch(
      wrapped('language stats'),
    );
    return bytes.size === 0 ? {} : await toResponse(bytes, detector);
  };
}

async function toResponse(bytes: ReadonlyMap<string, number>, detector: CallDetector): Promise<Response> {
  const names = [...bytes.keys()];
  const descriptions = await detector.describe(names);
  const total = Math.fround(names.reduce((sum, name) => sum + (bytes.get(name) ?? 0), 0));
  const languages = names.map((name, index) => {
    const description = descriptions[index];
    if (description === undefined) {
      throw new GitalyError(
        'INTERNAL',
        `linguist language_id fetch: linguist language_id not found: ${name}`,
      );
    }
    const count = bytes.get(name) ?? 0;
    return {
      name,
      share: Math.fround(Math.fround(100 * count) / total),
      color: description.color ?? colorOf(name),
      bytes: BigInt(count),
      languageId: BigInt(description.id),
    };
  });
  return { languages: languages.sort((a, b) => b.share - a.share) };
}

/** Returns a colour for a language that has none in linguist. */
function colorOf(name: string): string {
  return `#${createHash('sha256').update(name).digest('hex').slice(0, 6)}`;
}
