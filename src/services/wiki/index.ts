import type { ServiceImplementation } from '#rpc/server/handler';
import type { WikiService } from '#wire/gen/wiki_pb';
import { wikiUpdatePage, wikiWritePage } from './change-page.ts';
import type { WikiDependencies } from './dependencies.ts';
import { wikiFindPage, wikiGetAllPages, wikiListPages } from './pages.ts';

/** Pages of wikis, which are files of a repository. Until 15.0. */
export function wikiService(deps: WikiDependencies): ServiceImplementation<typeof WikiService> {
  return {
    wikiFindPage: (request, context) => wikiFindPage(request, context, deps),
    wikiGetAllPages: (request, context) => wikiGetAllPages(request, context, deps),
    wikiListPages: (request, context) => wikiListPages(request, context, deps),
    wikiUpdatePage: (requests, context) => wikiUpdatePage(requests, context, deps),
    wikiWritePage: (requests, context) => wikiWritePage(requests, context, deps),
  };
}
