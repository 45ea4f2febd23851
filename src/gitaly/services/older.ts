import { type ServedService, serve } from '#rpc/server/handler';
import { namespaceService } from '#services/namespace/index';
import { wikiService } from '#services/wiki/index';
import { NamespaceService } from '#wire/gen/namespace_pb';
import { WikiService } from '#wire/gen/wiki_pb';
import type { ServiceFoundation } from './service-foundation.ts';

/** Returns services that only clients of older releases call. */
export function olderServices({ hooks, storages }: ServiceFoundation): readonly ServedService[] {
  return [
    serve(NamespaceService, namespaceService({ storages })),
    serve(WikiService, wikiService({ storages, hooks })),
  ];
}
