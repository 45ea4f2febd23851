import { serveWith } from '#rpc/server/handler';
import { WikiService } from '#wire/gen/wiki_pb';
import { wikiUpdatePage, wikiWritePage } from './change-page.ts';
import type { WikiDependencies } from './dependencies.ts';
import { wikiFindPage, wikiGetAllPages, wikiListPages } from './pages.ts';

/** Pages of wikis, which are files of a repository. Until 15.0. */
export function wikiService(deps: WikiDependencies) {
  return serveWith(WikiService, deps, {
    wikiFindPage,
    wikiGetAllPages,
    wikiListPages,
    wikiUpdatePage,
    wikiWritePage,
  });
}
