import type { OpenObject } from '#git/objects/opened-object';
import type { Repository } from '#storage/repository';

/**
 * Opens `.gitattributes` of HEAD; `undefined` if there is no such file, or HEAD leads to no commit.
 */
export async function defaultAttributes(
  repository: Repository,
  signal: AbortSignal,
): Promise<OpenObject | undefined> {
  const object = await repository.objects.openObject('HEAD:.gitattributes', { signal });
  if (object === undefined || object.type === 'blob') return object;
  object.stream.destroy();
  return undefined;
}
