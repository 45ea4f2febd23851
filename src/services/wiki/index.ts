import { bindHandlers } from '#services/convert/bind-handlers';
import type { WikiService } from '#wire/gen/wiki_pb';
import { wikiUpdatePage, wikiWritePage } from './change-page.ts';
import type { WikiDependencies } from './dependencies.ts';
import { wikiFindPage, wikiGetAllPages, wikiListPages } from './pages.ts';

/** Pages of wikis, which are files of a repository. Until 15.0. */
export function wikiService(deps: WikiDependencies) {
  return bindHandlers<typeof WikiService, WikiDependencies>(deps, {
    wikiFindPage,
    wikiGetAllPages,
    wikiListPages,
    wikiUpdatePage,
    wikiWritePage,
  });
}
